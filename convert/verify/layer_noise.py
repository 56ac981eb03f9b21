"""Noise by layer: compares each tensor of the int8 model with the float network's.

The interpreter keeps every tensor of a run. Each operator is matched with its layer by its kind and
its inputs, not by its name: the converter chooses names, and they change between versions.
"""

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from convert.errors import ConversionError
from convert.quantize.equalize import inputs as sources
from convert.quantize.plan import POOLED, features_layer
from convert.tflite.flatbuffer import Operator, read_operators
from device.contract.arrays import Pixels
from device.inference.classifier import dequantize
from device.inference.runtime import find
from device.quiet import quiet_native_stderr
from device.workstation.conversion import LayerFigures

Floats = npt.NDArray[np.float32]

MIN_NOISE = 1e-20
"""Share of the signal's energy below which two tensors count as equal."""
_OPERATORS = {
    keras.layers.Rescaling: "QUANTIZE",
    keras.layers.Conv2D: "CONV_2D",
    keras.layers.DepthwiseConv2D: "DEPTHWISE_CONV_2D",
    keras.layers.Add: "ADD",
    keras.layers.GlobalAveragePooling2D: "MEAN",
    keras.layers.Softmax: "SOFTMAX",
}


@dataclass(frozen=True)
class Node:
    """A layer with its own int8 tensor; a convolution includes its activation."""

    name: str
    layers: tuple[Any, ...]
    """Keras layers, computed one after another."""
    inputs: tuple[str, ...]
    """Names of the nodes that it reads."""
    tensor: int
    """Index of its output in the int8 model."""


@dataclass(frozen=True)
class LayerError:
    """The error of one int8 tensor, over all values of all photos."""

    name: str
    sqnr_db: float | None
    """Signal to quantization noise relative to the float network, in decibels; None if exact."""
    local_sqnr_db: float | None
    """The same relative to this layer in float on the int8 input: the layer's own noise."""
    cosine: float
    """Between int8 and float network, -1..1."""
    saturated: float
    """Share of values at an end of their range, including a ReLU's 0 and 6."""
    clipped: float
    """Share of values at an end because the exact value is outside the range."""

    def layer_figures(self) -> LayerFigures:
        """The record, rounded: further digits are noise of the photos."""
        return LayerFigures(
            layer=self.name,
            sqnr_db=_rounded(self.sqnr_db, 2),
            local_sqnr_db=_rounded(self.local_sqnr_db, 2),
            cosine=round(self.cosine, 6),
            saturated=round(self.saturated, 6),
            clipped=round(self.clipped, 6),
        )


def compare_layers(
    network: keras.Model,
    model: bytes,
    scales: Mapping[str, Floats],
    photos: Iterable[Pixels],
    advance: Callable[[], None] = lambda: None,
) -> list[LayerError]:
    """Compare every int8 tensor with its float one, in network order.

    Args:
        network: the float classifier.
        model: the int8 TFLite model made from it.
        scales: by layer with equalized channels, the factors by which the model's are larger.
        photos: prepared pictures, at least one.
        advance: called after each picture.

    Raises:
        ConversionError: if an operator fits no layer, or a layer no operator.
    """
    interpreter = _interpreter(model)
    nodes = match(network, read_operators(model))
    details = {int(detail["index"]): detail for detail in interpreter.get_tensor_details()}
    exact = _compiled(keras.Model(network.input, [node.layers[-1].output for node in nodes]))
    alone = _compiled(lambda values: _alone(nodes, values))
    sums, one = [_Sums() for _ in nodes], np.ones(1, np.float32)
    scales = {**scales, POOLED: scales.get(features_layer(network), one)}
    larger = [scales.get(node.name, one) for node in nodes]
    for pixels in photos:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], pixels[np.newaxis])
        interpreter.invoke()
        raw = [interpreter.get_tensor(node.tensor) for node in nodes]
        quantized = [details[node.tensor] for node in nodes]
        values = [
            dequantize(r, *d["quantization"]) / scale
            for r, d, scale in zip(raw, quantized, larger, strict=True)
        ]
        ends = [_ends(detail, scale) for detail, scale in zip(quantized, larger, strict=True)]
        rows = zip(sums, raw, values, exact(pixels[np.newaxis]), alone(values), ends, strict=True)
        for total, r, value, expected, own, limits in rows:
            total.add(r, value, expected.numpy(), own.numpy(), limits)
        advance()
    return [total.error(node.name) for total, node in zip(sums, nodes, strict=True)]


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    compiled: Callable[..., Any] = tf.function(function, autograph=False, jit_compile=False)
    return compiled


def worst_first(errors: Sequence[LayerError]) -> list[LayerError]:
    """Sort layers by the noise that each adds itself, the noisiest first."""
    return sorted(errors, key=lambda e: np.inf if e.local_sqnr_db is None else e.local_sqnr_db)


def describe(errors: Sequence[LayerError]) -> str:
    """One line on some layers."""
    return ", ".join(
        f"{e.name} ({_decibels(e.local_sqnr_db)}, {e.clipped:.1%} clipped)" for e in errors
    )


def match(network: keras.Model, operators: Sequence[Operator]) -> list[Node]:
    """Find the operator that computes each layer.

    An operator belongs to a layer if it is of the same kind and reads the tensors of the layers
    that this layer reads. A QUANTIZE after a matched tensor is an output's copy in uint8.

    Raises:
        ConversionError: if an operator fits no layer, or a layer no operator.
    """
    nodes: list[Node] = []
    tensor_of: dict[str, int] = {}
    remaining = list(operators)
    for layers, inputs in _fused(network):
        name, kind = layers[-1].name, _kind(layers[0])
        expected = {tensor_of[source] for source in inputs}
        found = [
            op
            for op in remaining
            if op.kind == kind and (not expected or expected == set(op.reads))
        ]
        if not found:
            raise ConversionError(f"no {kind} of the int8 model computes the layer {name}")
        remaining.remove(found[0])
        tensor_of[name] = found[0].writes
        nodes.append(Node(name, layers, inputs, found[0].writes))
    known = {node.tensor for node in nodes}
    unmatched = [op for op in remaining if op.kind != "QUANTIZE" or not set(op.reads) <= known]
    if unmatched:
        raise ConversionError(f"{unmatched[0].kind} of the int8 model belongs to no layer")
    return nodes


def _fused(network: keras.Model) -> list[tuple[tuple[Any, ...], tuple[str, ...]]]:
    """Layers that form one operator each, with the names of the nodes they read."""
    fused: list[tuple[tuple[Any, ...], tuple[str, ...]]] = []
    for layer in network.layers[1:]:
        if isinstance(layer, keras.layers.ReLU):
            layers, inputs = fused.pop() if fused else ((), ())
            if not layers or sources(layer) != [layers[-1].name]:
                raise ConversionError(f"{layer.name} is not the activation of the layer before it")
            fused.append(((*layers, layer), inputs))
        elif isinstance(layer, keras.layers.Rescaling):
            fused.append(((layer,), ()))
        else:
            fused.append(((layer,), tuple(sources(layer))))
    return [*fused, _pooled(network)]


def _pooled(network: keras.Model) -> tuple[tuple[Any, ...], tuple[str, ...]]:
    """The mean of the features, which the int8 model gives and the network does not."""
    name = features_layer(network)
    layer = keras.layers.GlobalAveragePooling2D(name=POOLED)
    layer(network.get_layer(name).output)
    return ((layer,), (name,))


def _kind(layer: Any) -> str:
    for family, kind in _OPERATORS.items():
        if type(layer) is family:
            return kind
    raise ConversionError(f"{layer.name}: no int8 operator is known for a {type(layer).__name__}")


def _alone(nodes: Sequence[Node], values: Sequence[Any]) -> list[Any]:
    """Each layer in float, given the input values of its int8 operator."""
    value_of = {node.name: value for node, value in zip(nodes, values, strict=True)}
    results = []
    for node in nodes:
        inputs = [value_of[name] for name in node.inputs]
        if not inputs:
            # Its input is the bytes themselves; scaling them loses nothing.
            results.append(value_of[node.name])
            continue
        result: Any = inputs if len(inputs) > 1 else inputs[0]
        for layer in node.layers:
            result = layer(result)
        results.append(result)
    return results


def _interpreter(model: bytes) -> Any:
    with quiet_native_stderr(), warnings.catch_warnings():
        # The interpreter warns that keeping every tensor is for debugging, which this is.
        warnings.simplefilter("ignore")
        interpreter = find().interpreter(
            model_content=model, experimental_preserve_all_tensors=True
        )
        interpreter.allocate_tensors()
    return interpreter


def _ends(detail: Any, larger: Floats) -> tuple[Floats, Floats]:
    """By channel, the real values of the lowest and highest raw value, half a step further out."""
    limits = np.iinfo(detail["dtype"])
    scale, zero_point = detail["quantization"]
    return (
        (limits.min - zero_point - 0.5) * scale / larger,
        (limits.max - zero_point + 0.5) * scale / larger,
    )


class _Sums:
    """Sums over all photos."""

    def __init__(self) -> None:
        self._n = self._saturated = self._clipped = 0
        self._signal = self._noise = self._alone_signal = self._alone_noise = 0.0
        self._product = self._energy = 0.0

    def add(
        self,
        raw: npt.NDArray[Any],
        value: Floats,
        expected: Floats,
        alone: Floats,
        ends: tuple[Floats, Floats],
    ) -> None:
        limits = np.iinfo(raw.dtype)
        at_end = (raw == limits.min) | (raw == limits.max)
        outside = (alone < ends[0]) | (alone > ends[1])
        self._n += raw.size
        self._saturated += int(at_end.sum())
        self._clipped += int((at_end & outside).sum())
        self._signal += _energy(expected)
        self._noise += _energy(expected - value)
        self._alone_signal += _energy(alone)
        self._alone_noise += _energy(alone - value)
        self._product += float(np.vdot(expected, value))
        self._energy += _energy(value)

    def error(self, name: str) -> LayerError:
        length = np.sqrt(self._signal * self._energy)
        return LayerError(
            name,
            sqnr_db=_ratio_db(self._signal, self._noise),
            local_sqnr_db=_ratio_db(self._alone_signal, self._alone_noise),
            cosine=float(self._product / length) if length else float(self._noise == 0),
            saturated=self._saturated / self._n,
            clipped=self._clipped / self._n,
        )


def _energy(values: Floats) -> float:
    return float(np.vdot(values, values))


def _ratio_db(signal: float, noise: float) -> float | None:
    """The ratio of two energies in decibels; None if there is no noise."""
    if noise <= MIN_NOISE * signal:
        return None
    # A layer that should be all 0 but is not has no ratio: use the lowest possible one.
    return float(10 * np.log10(max(signal, MIN_NOISE * noise) / noise))


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


def _decibels(value: float | None) -> str:
    return "exact" if value is None else f"{value:.1f} dB"
