"""Reading a TFLite flatbuffer, with its operators, versions and types, and writing one."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import flatbuffers
from ai_edge_litert import schema_py_generated as schema

from convert.errors import ConversionError

T = TypeVar("T")

_OPERATOR_NAMES = {
    value: name for name, value in vars(schema.BuiltinOperator).items() if name.isupper()
}
_FLOATS = (schema.TensorType.FLOAT32, schema.TensorType.FLOAT16, schema.TensorType.FLOAT64)
_CHANNEL_AXIS = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3}
"""Axis of output channels: the first of a convolution's kernel (OHWI), the last of a depthwise one
(1HWC)."""
_IDENTIFIER = b"TFL3"
_DATA_ALIGNMENT_BYTES = 16


@dataclass(frozen=True)
class ModelFacts:
    """What can be read from a model without running it."""

    operators: dict[str, int]
    """Highest version in use, by operator name."""
    operator_counts: dict[str, int]
    float_tensors: tuple[str, ...]
    """Names of floating-point tensors."""
    per_channel_weights: bool
    """Whether each convolution with several output channels has a scale per channel."""
    input_scale: float
    input_zero_point: int


def parse(model: bytes) -> Any:
    """The model as a tree of the schema's objects, `ModelT`; a ZIP after it is ignored.

    Raises:
        ConversionError: if the bytes are not a TFLite model.
    """
    if model[4:8] != _IDENTIFIER:
        raise ConversionError("not a TFLite model")
    try:
        return schema.ModelT.InitFromObj(schema.Model.GetRootAs(model))
    except Exception as error:
        # Bad offsets raise struct.error, IndexError, AttributeError, ...
        raise ConversionError(f"not a complete TFLite model ({error})") from error


def pack(tree: Any) -> bytes:
    """The bytes of a tree; the same tree gives the same bytes."""
    builder = _AlignedBuilder(1024)
    builder.Finish(tree.Pack(builder), file_identifier=_IDENTIFIER)
    return bytes(builder.Output())


def operator_name(code: Any) -> str:
    """Name of an operator code, e.g. "CONV_2D"; small numbers are in the older field."""
    return str(_OPERATOR_NAMES[max(code.builtinCode, code.deprecatedBuiltinCode)])


class _AlignedBuilder(flatbuffers.Builder):  # type: ignore[misc]
    """Aligns tensor data to 16 bytes as the schema requires; the generated code does not."""

    def StartVector(self, elemSize: int, numElems: int, alignment: int) -> Any:
        aligned = _DATA_ALIGNMENT_BYTES if elemSize == 1 else alignment
        return super().StartVector(elemSize, numElems, aligned)


@dataclass(frozen=True)
class Operator:
    """One operator of a model."""

    kind: str
    reads: tuple[int, ...]
    """Indices of the tensors that it reads, without constants."""
    writes: int


def read_operators(model: bytes) -> list[Operator]:
    """The operators of a TFLite model, in the order in which they run.

    Raises:
        ConversionError: if the bytes are not a TFLite model.
    """
    return _read(model, _operators)


def read_facts(model: bytes) -> ModelFacts:
    """Read a TFLite model.

    Raises:
        ConversionError: if the bytes are not a TFLite model.
    """
    return _read(model, _facts)


def _read(model: bytes, extract: Callable[[Any], T]) -> T:
    try:
        return extract(parse(model))
    except (IndexError, KeyError, TypeError, AttributeError) as error:
        raise ConversionError(f"not a complete TFLite model ({error})") from error


def _operators(tree: Any) -> list[Operator]:
    graph = tree.subgraphs[0]
    constants = {
        index for index, tensor in enumerate(graph.tensors) if holds_data(tree, tensor.buffer)
    }
    return [
        Operator(
            kind=_kind(tree, operator),
            reads=tuple(int(i) for i in operator.inputs if i >= 0 and i not in constants),
            writes=int(operator.outputs[0]),
        )
        for operator in graph.operators
    ]


def holds_data(tree: Any, buffer: int) -> bool:
    """Whether a buffer of the model has content, that is, whether its tensor is a constant."""
    data = tree.buffers[buffer].data
    return data is not None and len(data) > 0


def _kind(tree: Any, operator: Any) -> str:
    return operator_name(tree.operatorCodes[operator.opcodeIndex])


def _facts(tree: Any) -> ModelFacts:
    graph = tree.subgraphs[0]
    versions: dict[str, int] = {}
    counts: Counter[str] = Counter()
    per_channel = []
    for operator in graph.operators:
        code = tree.operatorCodes[operator.opcodeIndex]
        name = operator_name(code)
        versions[name] = max(versions.get(name, 0), code.version)
        counts[name] += 1
        if name in _CHANNEL_AXIS:
            per_channel.append(_is_per_channel(graph.tensors[operator.inputs[1]], name))
    entrance = graph.tensors[graph.inputs[0]].quantization
    quantized = entrance is not None and entrance.scale is not None and len(entrance.scale) == 1
    return ModelFacts(
        operators=versions,
        operator_counts=dict(counts),
        float_tensors=tuple(t.name.decode() for t in graph.tensors if t.type in _FLOATS),
        per_channel_weights=all(per_channel),
        input_scale=float(entrance.scale[0]) if quantized else 0.0,
        input_zero_point=int(entrance.zeroPoint[0]) if quantized else 0,
    )


def _is_per_channel(weights: Any, name: str) -> bool:
    channels = weights.shape[_CHANNEL_AXIS[name]]
    quantization = weights.quantization
    return (
        quantization is not None
        and quantization.scale is not None
        and (len(quantization.scale) == channels)
    )
