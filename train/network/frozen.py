"""The frozen layers of a network, run by the TFLite interpreter that the device uses.

On one picture and one thread, XNNPACK takes about half of the processor time of TensorFlow for the
same float convolutions, and threads do not wait for each other.
"""

import threading
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import (
    convert_variables_to_constants_v2,
)

from device.contract.arrays import Pixels
from device.inference.runtime import find
from train.network.cache import Activations

FROZEN_CODE = (
    *(
        f"train/network/{name}.py"
        for name in ("backbone", "backbones", "cache", "frozen", "weights")
    ),
    *(f"device/contract/{name}.py" for name in ("formats", "photos", "preprocess")),
    "device/inference/runtime.py",
)
"""Source files that may change the frozen network's output for a photo."""


class Frozen:
    """A snapshot of a Keras model from pixels, or maps, to one output, with its current weights."""

    def __init__(self, model: keras.Model) -> None:
        function = tf.function(lambda x: model(x, training=False), autograph=False)
        pixels = tf.TensorSpec((1, *model.input_shape[1:]), tf.float32)
        constant = convert_variables_to_constants_v2(function.get_concrete_function(pixels))
        self._model = tf.lite.TFLiteConverter.from_concrete_functions([constant], model).convert()
        self._runtime = find()
        self._own = threading.local()
        self.output_shape: tuple[int, ...] = model.output_shape[1:]

    def __call__(self, pixels: Pixels | Activations) -> Activations:
        """The output, float16, for one input without its first axis: uint8 pixels (h, w, 3), say.

        May be called from any thread.
        """
        if not hasattr(self._own, "interpreter"):
            self._own.interpreter = self._interpreter()
        interpreter = self._own.interpreter
        interpreter.set_tensor(self._own.input, pixels[None].astype(np.float32))
        interpreter.invoke()
        return np.asarray(interpreter.get_tensor(self._own.output)[0].astype(np.float16))

    def _interpreter(self) -> Any:
        interpreter = self._runtime.interpreter(model_content=self._model, num_threads=1)
        interpreter.allocate_tensors()
        self._own.input = interpreter.get_input_details()[0]["index"]
        self._own.output = interpreter.get_output_details()[0]["index"]
        return interpreter
