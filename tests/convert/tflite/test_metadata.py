"""Other programs find labels, normalization and description in the shipped model."""

import io
import json
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest

from convert.artifacts.training import Training
from convert.tflite.flatbuffer import parse, read_facts
from convert.tflite.metadata import Description, embed
from device.contract import bundle as contract
from device.inference.classifier import Classifier
from device.workstation.training import Part
from tests.support.cli import PROCESS_LIMIT_S
from tests.support.pictures import LABELS
from tests.support.places import BUILD

# tflite-support's own generated reader; its higher layers need libusb for no reason of ours.
READER = """
import json, sys
import tensorflow_lite_support.metadata.metadata_schema_py_generated as schema
import tensorflow_lite_support.metadata.schema_py_generated as tflite
data = open(sys.argv[1], "rb").read()
model = tflite.Model.GetRootAsModel(data, 0)
(buffer,) = [
    model.Metadata(i).Buffer()
    for i in range(model.MetadataLength())
    if model.Metadata(i).Name() == b"TFLITE_METADATA"
]
raw = model.Buffers(buffer).DataAsNumpy().tobytes()
assert schema.ModelMetadata.ModelMetadataBufferHasIdentifier(raw, 0)
root = schema.ModelMetadataT.InitFromObj(schema.ModelMetadata.GetRootAsModelMetadata(raw, 0))
(graph,) = root.subgraphMetadata
(picture,) = graph.inputTensorMetadata
(unit,) = picture.processUnits
print(json.dumps({
    "name": root.name.decode(), "text": root.description.decode(), "author": root.author.decode(),
    "license": root.license.decode(), "version": root.version.decode(),
    "parser": root.minParserVersion.decode(),
    "rgb": picture.content.contentProperties.colorSpace == schema.ColorSpaceType.RGB,
    "mean": list(map(float, unit.options.mean)), "std": list(map(float, unit.options.std)),
    "outputs": [
        [t.name.decode(), [[f.name.decode(), f.type] for f in t.associatedFiles or []]]
        for t in graph.outputTensorMetadata
    ],
}))
"""


@pytest.fixture(scope="module")
def model(tiny_models: dict[str, bytes]) -> bytes:
    return tiny_models[contract.MODEL]


def test_an_independent_reader_finds_everything(model: bytes, tmp_path: Path) -> None:
    python = BUILD / "venv-readers" / "bin" / "python"
    if not python.exists():
        pytest.skip(f"{python} is not there: run these tests with `make test` and a Python 3.11")
    (tmp_path / "model.tflite").write_bytes(model)
    run = subprocess.run(
        [str(python), "-c", READER, str(tmp_path / "model.tflite")],
        capture_output=True,
        text=True,
        timeout=PROCESS_LIMIT_S,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    assert found["name"] == "tiny" and found["text"] == "synthetic pictures"
    assert found["author"] == "Fieldguide" and "Apache-2.0" in found["license"]
    assert found["parser"] == "1.0.0" and found["version"] and found["rgb"]
    assert found["mean"] == found["std"] == [128.0]
    tensor_axis_labels = 2
    assert dict(map(tuple, found["outputs"])) == {
        "class_map": [],
        "features": [],
        "probability": [["labels.txt", tensor_axis_labels]],
    }
    assert [name for name, _ in found["outputs"]] == ["probability", "class_map", "features"]


def test_the_model_is_also_a_zip_with_its_labels(model: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(model)) as archive:
        assert archive.namelist() == ["labels.txt"] and archive.testzip() is None
        assert contract.parse_labels(archive.read("labels.txt")) == LABELS


def test_normalizing_and_quantizing_gives_back_the_very_byte(model: bytes) -> None:
    facts = read_facts(model)
    pixels = np.arange(256)
    normalized = ((pixels - 128.0) / 128.0).astype(np.float32)
    quantized = normalized / np.float32(facts.input_scale) + facts.input_zero_point
    assert (quantized == pixels).all()


def test_the_same_description_gives_the_same_bytes(model: bytes) -> None:
    description = Description("one", "two", ("a", "b"))
    assert embed(model, description) == embed(model, description)
    assert embed(model, description) != embed(model, Description("one", "two", ("a", "c")))


def test_metadata_changes_no_output(model: bytes, tiny_training: Training) -> None:
    described = embed(model, Description("x" * 999, "Ünicode \u2764", tuple("abcdefg")))
    rules = tiny_training.preprocessing
    plain, other = (Classifier(data, LABELS, rules) for data in (model, described))
    for photo in tiny_training.photos[Part.TEST]:
        for classifier in (plain, other):
            classifier.classify(tiny_training.pixels(photo))
        for name, array in plain.raw_outputs().items():
            assert (array == other.raw_outputs()[name]).all()


def test_metadata_leaves_tflite_runtime_its_outputs(model: bytes, tmp_path: Path) -> None:
    python = BUILD / "venv-tflite" / "bin" / "python"
    if not python.exists():
        pytest.skip(f"{python} is not there: run these tests with `make test` and a Python 3.11")
    from convert.tflite.flatbuffer import pack

    tree = parse(model)
    tree.metadata = [entry for entry in tree.metadata if entry.name != b"TFLITE_METADATA"]
    (tmp_path / "plain").write_bytes(pack(tree))
    (tmp_path / "described").write_bytes(model)
    code = (
        "import sys, hashlib, numpy as np; from tflite_runtime.interpreter import Interpreter\n"
        "i = Interpreter(model_content=open(sys.argv[1], 'rb').read()); i.allocate_tensors()\n"
        "d = i.get_input_details()[0]; r = np.random.default_rng(0)\n"
        "i.set_tensor(d['index'], r.integers(0, 256, d['shape'], np.uint8)); i.invoke()\n"
        "print([i.get_tensor(o['index']).tobytes().hex() for o in i.get_output_details()])"
    )
    said = [
        subprocess.run(
            [str(python), "-c", code, str(tmp_path / name)],
            capture_output=True,
            text=True,
            timeout=PROCESS_LIMIT_S,
            check=True,
        ).stdout
        for name in ("plain", "described")
    ]
    assert said[0] == said[1] and len(said[0]) > 50
