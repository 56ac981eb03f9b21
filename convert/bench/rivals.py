"""Other ways to quantize the same network, only for `make bench-quant`.

Each takes the float network and calibration pixels, uint8 (n, h, w, 3), and gives a TFLite model
with the same operators as the shipped one, so that only the numbers in it differ.
"""

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from convert.quantize.exact import ACTIVATION_STEPS, Range
from convert.quantize.export import int8_model
from convert.quantize.plan import (
    DEFAULT,
    WEIGHT_STEPS,
    Floats,
    Plan,
    forward,
    make_plan,
    observed_range,
    round_weights,
)

Pixels = npt.NDArray[np.uint8]

HISTOGRAM_BINS = 2048
CLIPPING_CANDIDATES = 40
MIN_KEPT_RANGE = 0.4
"""The narrowest range that `least_error_range` tries, as a share of the one observed."""
TAIL_PERCENT = 0.01
DISTILL_STEPS = 60
DISTILL_BATCH = 8
DISTILL_RATE = 2e-5
MAP_WEIGHT = 0.1


def tensorflow_calibrated(network: keras.Model, pixels: Pixels) -> bytes:
    """TFLiteConverter with a representative dataset: ranges from minimum to maximum."""
    with _converter(network) as converter:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: (
            [x] for x in _scaled_one_by_one(network, pixels)
        )
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.uint8
        return bytes(converter.convert())


def ai_edge_quantized(network: keras.Model, pixels: Pixels, algorithm: str) -> bytes:
    """Google's `ai-edge-quantizer`, static int8 weights and activations.

    Args:
        network: the float classifier.
        pixels: the calibration set.
        algorithm: a member of its `AlgorithmName`, such as MIN_MAX_UNIFORM_QUANT or OCTAV.
    """
    from ai_edge_quantizer import quantizer, recipe
    from ai_edge_quantizer.algorithm_manager import AlgorithmName

    with _converter(network) as converter:
        float_model = bytes(converter.convert())
    tool = quantizer.Quantizer(float_model, recipe.static_wi8_ai8(AlgorithmName[algorithm]))
    rows = [{"scaled": x} for x in _scaled_one_by_one(network, pixels)]
    return bytes(tool.quantize(tool.calibrate({"serving_default": rows})).quantized_model)


def percentile_range(*chunks: Floats) -> Range:
    """The range without the outermost 0.01% at either end."""
    values = np.concatenate([chunk.ravel() for chunk in chunks])
    low, high = np.percentile(values, (TAIL_PERCENT, 100 - TAIL_PERCENT))
    return observed_range(np.array([low, high], np.float32))


def least_error_range(*chunks: Floats) -> Range:
    """The range with the lowest mean squared error of 8-bit quantization, clipping included.

    Both ends shrink together, starting from the observed extremes.
    """
    low, high = observed_range(*chunks)
    edges = np.linspace(low, high, HISTOGRAM_BINS + 1)
    counts = sum(np.histogram(values, HISTOGRAM_BINS, (low, high))[0] for values in chunks)
    centres = (edges[:-1] + edges[1:]) / 2

    def error(share: float) -> float:
        clipped = np.maximum(centres - high * share, 0) + np.maximum(low * share - centres, 0)
        step = (high - low) * share / ACTIVATION_STEPS
        # Inside, rounding errors are uniform within half a step: their mean square is step^2 / 12.
        return float((counts * np.where(clipped > 0, clipped**2, step**2 / 12)).sum())

    best = min(np.linspace(1, MIN_KEPT_RANGE, CLIPPING_CANDIDATES), key=error)
    return (low * float(best), high * float(best))


def distilled(network: keras.Model, pixels: Pixels) -> bytes:
    """The default plan, then quantization-aware fine-tuning of all weights towards the float model.

    Weights are rounded in the forward pass and trained as if they were not (straight-through,
    Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient Integer-
    Arithmetic-Only Inference"); ranges stay as planned. The loss is the divergence from the float
    probabilities plus the squared error of the class map.
    """
    plan = make_plan(network, pixels)
    kernels = {name: tf.Variable(value) for name, value in plan.kernels.items()}
    biases = {name: tf.Variable(value) for name, value in plan.biases.items()}
    trained = [*kernels.values(), *biases.values()]
    depthwise = {
        x.name for x in network.layers if isinstance(x, keras.layers.DepthwiseConv2D)
    } & set(kernels)
    rate = keras.optimizers.schedules.CosineDecay(DISTILL_RATE, DISTILL_STEPS)
    optimizer = keras.optimizers.Adam(rate)
    optimizer.build(trained)

    def step(batch: Any) -> None:
        target = network(batch, training=False)
        with tf.GradientTape() as tape:
            rounded = {k: _straight_through(v, k in depthwise) for k, v in kernels.items()}
            rounded_plan = replace(plan, kernels=rounded, biases=dict(biases))
            quantized = forward(network, rounded_plan, network.layers[1](batch))
            divergence = keras.losses.KLDivergence()(
                target["probabilities"], quantized["probabilities"]
            )
            off = tf.reduce_mean(tf.square(target["class_map"] - quantized["class_map"]))
            loss = divergence + MAP_WEIGHT * off
        optimizer.apply_gradients(zip(tape.gradient(loss, trained), trained, strict=True))

    compiled = tf.function(step, autograph=False, jit_compile=False)
    rng = np.random.default_rng(0)
    for _ in range(DISTILL_STEPS):
        compiled(tf.convert_to_tensor(pixels[rng.choice(len(pixels), DISTILL_BATCH)]))
    final = {k: round_weights(v.numpy(), 2 if k in depthwise else 3) for k, v in kernels.items()}
    learned = {name: value.numpy() for name, value in biases.items()}
    return int8_model(network, replace(plan, kernels=final, biases=learned))


def planned(network: keras.Model, pixels: Pixels, **changes: Any) -> bytes:
    """Our layer-wise plan, with some fields of its `Method` changed."""
    return int8_model(network, make_plan(network, pixels, method=replace(DEFAULT, **changes)))


def _straight_through(kernel: Any, depthwise: bool) -> Any:
    axes = (0, 1, 3) if depthwise else (0, 1, 2)
    scale = tf.reduce_max(tf.abs(kernel), axis=axes, keepdims=True) / WEIGHT_STEPS
    scale = tf.stop_gradient(tf.where(scale > 0, scale, tf.ones_like(scale)))
    return kernel + tf.stop_gradient(tf.round(kernel / scale) * scale - kernel)


def _scaled_one_by_one(network: keras.Model, pixels: Pixels) -> Iterator[Floats]:
    for photo in pixels:
        yield network.layers[1](photo[np.newaxis]).numpy()


@contextlib.contextmanager
def _converter(network: keras.Model) -> Iterator[Any]:
    """A converter of the float network after its scaling, with the signature that both need."""
    shape = (1, *network.input_shape[1:])
    call = tf.function(
        lambda scaled: forward(network, Plan(), scaled),
        autograph=False,
        input_signature=[tf.TensorSpec(shape, tf.float32, name="scaled")],
    )
    module = tf.Module()
    module.variables_of_network = [variable.value for variable in network.variables]
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures=call.get_concrete_function())
        # The converter reads the folder only when it converts.
        yield tf.lite.TFLiteConverter.from_saved_model(folder)
