"""Reading a TFLite flatbuffer, its operators, versions and types; and writing one back."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import flatbuffers
from ai_edge_litert import schema_py_generated as schema

from convert.errors import ConversionError

_OPERATOR_NAMES = {
    value: name for name, value in vars(schema.BuiltinOperator).items() if name.isupper()
}
_FLOATS = (schema.TensorType.FLOAT32, schema.TensorType.FLOAT16, schema.TensorType.FLOAT64)
_CONVOLUTIONS = (schema.BuiltinOperator.CONV_2D, schema.BuiltinOperator.DEPTHWISE_CONV_2D)
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
    """The model as a tree of the schema's objects, `ModelT`; what follows it (a ZIP) is left out.

    Raises:
        ConversionError: if the bytes are no TFLite model.
    """
    if model[4:8] != _IDENTIFIER:
        raise ConversionError("not a TFLite model")
    try:
        return schema.ModelT.InitFromObj(schema.Model.GetRootAs(model))
    except Exception as error:
        # Offsets that lead nowhere end in struct.error, IndexError, AttributeError, ...
        raise ConversionError(f"not a whole TFLite model ({error})") from error


def pack(tree: Any) -> bytes:
    """The bytes of a tree; the same tree gives the same bytes."""
    builder = _AlignedBuilder(1024)
    builder.Finish(tree.Pack(builder), file_identifier=_IDENTIFIER)
    return bytes(builder.Output())


def operator_name(code: Any) -> str:
    """Name of an operator code, e.g. "CONV_2D"; small numbers are in the older field."""
    return str(_OPERATOR_NAMES[max(code.builtinCode, code.deprecatedBuiltinCode)])


class _AlignedBuilder(flatbuffers.Builder):  # type: ignore[misc]
    """Keeps tensor data on the 16 bytes that the schema asks for; the generated code forgets it."""

    def StartVector(self, elemSize: int, numElems: int, alignment: int) -> Any:
        aligned = _DATA_ALIGNMENT_BYTES if elemSize == 1 else alignment
        return super().StartVector(elemSize, numElems, aligned)


def read_facts(model: bytes) -> ModelFacts:
    """Read a TFLite model.

    Raises:
        ConversionError: if the bytes are no TFLite model.
    """
    try:
        return _facts(parse(model))
    except (IndexError, KeyError, TypeError, AttributeError) as error:
        raise ConversionError(f"not a whole TFLite model ({error})") from error


def _facts(tree: Any) -> ModelFacts:
    graph = tree.subgraphs[0]
    versions: dict[str, int] = {}
    counts: Counter[str] = Counter()
    per_channel = []
    for operator in graph.operators:
        code = tree.operatorCodes[operator.opcodeIndex]
        builtin, name = max(code.builtinCode, code.deprecatedBuiltinCode), operator_name(code)
        versions[name] = max(versions.get(name, 0), code.version)
        counts[name] += 1
        if builtin in _CONVOLUTIONS:
            per_channel.append(_is_per_channel(graph.tensors[operator.inputs[1]], builtin))
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


def _is_per_channel(weights: Any, builtin: int) -> bool:
    # Output channels: first axis of a convolution's kernel (OHWI), last of a depthwise one (1HWC).
    channels = weights.shape[0 if builtin == schema.BuiltinOperator.CONV_2D else 3]
    quantization = weights.quantization
    return (
        quantization is not None
        and quantization.scale is not None
        and (len(quantization.scale) == channels)
    )
