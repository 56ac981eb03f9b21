"""Converts a Keras network to TFLite: one float model and one full-integer model."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import (
    convert_variables_to_constants_v2,
)

from convert.errors import ConversionError
from convert.quantize.plan import POOLED, Plan, features_layer, forward
from convert.tflite.flatbuffer import ModelFacts, read_facts
from device.inference.outputs import SHIPPED_ORDER

SHIPPED_OPERATORS = frozenset(
    {"QUANTIZE", "CONV_2D", "DEPTHWISE_CONV_2D", "ADD", "MEAN", "SOFTMAX"}
)
"""What a MobileNetV2 needs in int8. QUANTIZE turns uint8 into int8 at the input and back at the
outputs, and is used nowhere else."""


def float_model(network: keras.Model) -> bytes:
    """The float32 TFLite model: takes bytes 0..255 as float32 and scales them itself."""
    features = network.get_layer(features_layer(network)).output
    pooled = keras.layers.GlobalAveragePooling2D(name=POOLED)(features)
    # Named, because Keras would count its networks and write the number into the model.
    whole = keras.Model(network.input, {**network.output, "features": pooled}, name="outputs")
    call = functools.partial(whole, training=False)
    return bytes(_converter(call, network.input_shape).convert())


def int8_model(network: keras.Model, plan: Plan) -> bytes:
    """The full-integer TFLite model: uint8 in and out, int8 within, per-channel weights.

    Args:
        network: the trained classifier, beginning with its Rescaling layer.
        plan: its quantization.

    Raises:
        ConversionError: if the result is not the expected graph.
    """
    scaling = _scaling(network)
    # The int8 model begins after the scaling, which becomes its input's scale and zero point.
    converter = _converter(lambda scaled: forward(network, plan, scaled), network.input_shape)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.inference_input_type = tf.uint8
    converter.inference_output_type = tf.uint8
    model = bytes(converter.convert())
    _check(read_facts(model), scaling)
    return model


def _converter(call: Callable[[Any], Mapping[str, Any]], shape: Sequence[int | None]) -> Any:
    def ordered(pixels: Any) -> list[Any]:
        # TensorFlow would sort a dictionary by name.
        outputs = call(pixels)
        return [outputs[name] for name in SHIPPED_ORDER]

    function = tf.function(ordered, autograph=False, jit_compile=False)
    pixels = tf.TensorSpec((1, *shape[1:]), tf.float32, name="pixels")
    # As constants, so that the converter sees weights, not variables without values.
    frozen = convert_variables_to_constants_v2(function.get_concrete_function(pixels))
    return tf.lite.TFLiteConverter.from_concrete_functions([frozen])


def _scaling(network: keras.Model) -> keras.layers.Rescaling:
    layer = network.layers[1]
    if not isinstance(layer, keras.layers.Rescaling):
        raise ConversionError(f"the network begins with {layer.name}, not with its scaling")
    return layer


def _check(facts: ModelFacts, scaling: keras.layers.Rescaling) -> None:
    scale, zero_point = facts.input_scale, facts.input_zero_point
    if scale != np.float32(scaling.scale) or zero_point != round(-scaling.offset / scaling.scale):
        raise ConversionError(
            f"the int8 input has scale {scale} and zero point {zero_point}; bytes would not pass "
            "unchanged"
        )
    unexpected = set(facts.operators) - SHIPPED_OPERATORS
    if unexpected or facts.float_tensors or facts.operator_counts.get("QUANTIZE", 0) > 4:
        raise ConversionError(
            f"the int8 model is not full-integer: operators {sorted(unexpected)}, float tensors "
            f"{list(facts.float_tensors)[:5]}, {facts.operator_counts.get('QUANTIZE', 0)} QUANTIZE"
        )
    if not facts.per_channel_weights:
        raise ConversionError("the int8 model's convolutions are not quantized per channel")
