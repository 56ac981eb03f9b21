"""TFLite metadata, which other programs look for inside a model file.

A separate flatbuffer (schema `ModelMetadata`, file identifier "M001") is in the model's buffer
`TFLITE_METADATA`; `labels.txt` is appended to the file as a ZIP, which flatbuffer readers ignore.
Both follow the layout of tflite-support and MediaPipe. Slots below are the positions of the fields
in that schema.

The normalization is that of the input's own scale and zero point, such as (x - 128) / 128: it gives
back the same byte, so readers that normalize and quantize agree with those that pass bytes through.
"""

import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from convert.tflite.flatbuffer import pack, parse
from device import __version__
from device.contract.bundle import LABELS
from device.inference.outputs import CLASS_MAP, FEATURES, SHIPPED_ORDER

BUFFER = b"TFLITE_METADATA"
IDENTIFIER = b"M001"
MIN_PARSER_VERSION = "1.0.0"
LICENSE = "Code: Apache-2.0. The photos and the pretrained weights keep their own licences."
_RGB, _IMAGE_PROPERTIES, _FEATURE_PROPERTIES = 1, 2, 1
_NORMALIZATION, _AXIS_LABELS = 1, 2
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)
_TEXTS = {
    CLASS_MAP: "logits of each label in each part of the picture",
    FEATURES: "features of the last convolution, averaged over the picture",
}

Table = Mapping[int, Any]
"""Slot to value: a string, an enum's number, a table, or a list of tables, strings or floats."""


@dataclass(frozen=True)
class Description:
    """The texts and labels that a reader gets."""

    name: str
    text: str
    labels: tuple[str, ...]


def embed(model: bytes, description: Description) -> bytes:
    """The model with its metadata and its labels; the same inputs give the same bytes.

    Args:
        model: a TFLite model with one picture of quantized bytes in, and the outputs of
            `SHIPPED_ORDER`.
    """
    tree = parse(model)
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(_metadata(tree.subgraphs[0], description), np.uint8)
    tree.buffers.append(buffer)
    entry = schema.MetadataT()
    entry.name, entry.buffer = BUFFER, len(tree.buffers) - 1
    tree.metadata = [*(tree.metadata or []), entry]
    return _with_file(pack(tree), LABELS, ("\n".join(description.labels) + "\n").encode())


def _with_file(model: bytes, name: str, content: bytes) -> bytes:
    file = io.BytesIO(model)
    with zipfile.ZipFile(file, "a", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo(name, _ZIP_TIME), content)
    return file.getvalue()


def _metadata(graph: Any, description: Description) -> bytes:
    picture = graph.tensors[graph.inputs[0]]
    root: Table = {
        0: description.name,
        1: description.text,
        2: __version__,
        3: [{2: [_picture(picture)], 3: [_output(role) for role in SHIPPED_ORDER]}],
        4: "Fieldguide",
        5: LICENSE,
        7: MIN_PARSER_VERSION,
    }
    builder = flatbuffers.Builder(1024)
    builder.Finish(_write_table(builder, root), file_identifier=IDENTIFIER)
    return bytes(builder.Output())


def _picture(tensor: Any) -> Table:
    scale = float(tensor.quantization.scale[0])
    mean, deviation = float(tensor.quantization.zeroPoint[0]), 1 / scale
    return {
        0: "image",
        1: "RGB bytes of the centred square, resized; see the bundle's manifest",
        3: {0: _IMAGE_PROPERTIES, 1: {0: _RGB}},
        4: [{0: _NORMALIZATION, 1: {0: [mean], 1: [deviation]}}],
        5: {0: [(255 - mean) * scale], 1: [(0 - mean) * scale]},
    }


def _output(role: str) -> Table:
    if role in _TEXTS:
        return {0: role, 1: _TEXTS[role], 3: {0: _FEATURE_PROPERTIES, 1: {}}}
    labels = {0: LABELS, 1: "one label per line", 2: _AXIS_LABELS}
    return {
        0: "probability",
        1: "probability of each label",
        3: {0: _FEATURE_PROPERTIES, 1: {}},
        5: {0: [1.0], 1: [0.0]},
        6: [labels],
    }


def _write_table(builder: Any, table: Table) -> int:
    # Children first: a flatbuffer is written from its leaves.
    offsets = {
        slot: _write_value(builder, value)
        for slot, value in table.items()
        if not isinstance(value, int)
    }
    builder.StartObject(max(table, default=-1) + 1)
    for slot, value in table.items():
        if isinstance(value, int):
            builder.PrependUint8Slot(slot, value, 0)
        else:
            builder.PrependUOffsetTRelativeSlot(slot, offsets[slot], 0)
    return int(builder.EndObject())


def _write_value(builder: Any, value: str | Table | Sequence[Any]) -> int:
    if isinstance(value, str):
        return int(builder.CreateString(value))
    if isinstance(value, Mapping):
        return _write_table(builder, value)
    if isinstance(value[0], float):
        return int(builder.CreateNumpyVector(np.array(value, np.float32)))
    offsets = [_write_value(builder, item) for item in value]
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())
