"""Reading a TFLite flatbuffer: its operators, their versions, its types."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from ai_edge_litert import schema_py_generated as schema

from convert.errors import ConversionError

T = TypeVar("T")

_OPERATOR_NAMES = {
    value: name for name, value in vars(schema.BuiltinOperator).items() if name.isupper()
}
_FLOATS = (schema.TensorType.FLOAT32, schema.TensorType.FLOAT16, schema.TensorType.FLOAT64)
_CHANNEL_AXIS = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3}
"""Output channels: first axis of a convolution's kernel (OHWI), last of a depthwise one (1HWC)."""
_MIN_RUNTIME_METADATA = b"min_runtime_version"


@dataclass(frozen=True)
class ModelFacts:
    """What can be read from a model without running it."""

    operators: dict[str, int]
    """Highest version in use, by operator name."""
    operator_counts: dict[str, int]
    min_runtime: str
    """The oldest TFLite release that has these versions, as the converter states it."""
    float_tensors: tuple[str, ...]
    """Names of floating-point tensors."""
    per_channel_weights: bool
    """Whether each convolution with several output channels has a scale per channel."""
    input_scale: float
    input_zero_point: int

    def record(self) -> dict[str, Any]:
        """What the manifest says of the model's needs."""
        return {
            "operators": dict(sorted(self.operators.items())),
            "oldest_runtime": f"TFLite {self.min_runtime}",
        }


@dataclass(frozen=True)
class Operator:
    """One operator of a model, in the order in which they run."""

    kind: str
    reads: tuple[int, ...]
    """Indices of the tensors that it reads, constants left out."""
    writes: int


def read_operators(model: bytes) -> list[Operator]:
    """The operators of a TFLite model.

    Raises:
        ConversionError: if the bytes are no TFLite model.
    """
    return _read(model, _operators)


def read_facts(model: bytes) -> ModelFacts:
    """Read a TFLite model.

    Raises:
        ConversionError: if the bytes are no TFLite model.
    """
    return _read(model, _facts)


def _read(model: bytes, extract: Callable[[Any], T]) -> T:
    if model[4:8] != b"TFL3":
        raise ConversionError("not a TFLite model")
    try:
        return extract(schema.ModelT.InitFromObj(schema.Model.GetRootAs(model)))
    except Exception as error:
        # Offsets that lead nowhere end in struct.error, IndexError, AttributeError, ...
        raise ConversionError(f"not a whole TFLite model ({error})") from error


def _operators(tree: Any) -> list[Operator]:
    graph = tree.subgraphs[0]
    constants = {
        index for index, tensor in enumerate(graph.tensors) if _holds_data(tree, tensor.buffer)
    }
    return [
        Operator(
            kind=_kind(tree, operator),
            reads=tuple(int(i) for i in operator.inputs if i >= 0 and i not in constants),
            writes=int(operator.outputs[0]),
        )
        for operator in graph.operators
    ]


def _holds_data(tree: Any, buffer: int) -> bool:
    data = tree.buffers[buffer].data
    return data is not None and len(data) > 0


def _kind(tree: Any, operator: Any) -> str:
    code = tree.operatorCodes[operator.opcodeIndex]
    return str(_OPERATOR_NAMES[max(code.builtinCode, code.deprecatedBuiltinCode)])


def _facts(tree: Any) -> ModelFacts:
    graph = tree.subgraphs[0]
    versions: dict[str, int] = {}
    counts: Counter[str] = Counter()
    per_channel = []
    for operator in graph.operators:
        code = tree.operatorCodes[operator.opcodeIndex]
        name = _kind(tree, operator)
        versions[name] = max(versions.get(name, 0), code.version)
        counts[name] += 1
        if name in _CHANNEL_AXIS:
            per_channel.append(_is_per_channel(graph.tensors[operator.inputs[1]], name))
    entrance = graph.tensors[graph.inputs[0]].quantization
    quantized = entrance is not None and entrance.scale is not None and len(entrance.scale) == 1
    return ModelFacts(
        operators=versions,
        operator_counts=dict(counts),
        min_runtime=_min_runtime(tree),
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


def _min_runtime(tree: Any) -> str:
    for entry in tree.metadata or []:
        if entry.name == _MIN_RUNTIME_METADATA:
            data = tree.buffers[entry.buffer].data
            return bytes(data).split(b"\0")[0].decode("ascii", "replace")
    return "unknown"
