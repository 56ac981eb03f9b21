"""The frozen layers of a network, run by the TFLite interpreter that the device uses.

On one picture and one thread, XNNPACK takes about half of the processor time of TensorFlow for the
same float convolutions, and threads do not wait for each other.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from device.contract.arrays import Pixels
from device.inference.runtime import find
from train.network.cache import Activations

if TYPE_CHECKING:
    import keras

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
    """A snapshot of a Keras model from pixels, or maps, to one output.

    It can be pickled, and used without TensorFlow.
    """

    def __init__(self, model: bytes, output_shape: tuple[int, ...]) -> None:
        """`model` is in TFLite's format; `output_shape` has no first axis."""
        self._model, self.output_shape = model, output_shape
        self._own = threading.local()

    @classmethod
    def of(cls, model: "keras.Model") -> "Frozen":
        """A snapshot with the model's current weights."""
        import tensorflow as tf
        from tensorflow.python.framework.convert_to_constants import (
            convert_variables_to_constants_v2,
        )

        function = tf.function(lambda x: model(x, training=False), autograph=False)
        pixels = tf.TensorSpec((1, *model.input_shape[1:]), tf.float32)
        constant = convert_variables_to_constants_v2(function.get_concrete_function(pixels))
        converter = tf.lite.TFLiteConverter.from_concrete_functions([constant], model)
        return cls(converter.convert(), model.output_shape[1:])

    def __reduce__(self) -> tuple[type["Frozen"], tuple[bytes, tuple[int, ...]]]:
        return Frozen, (self._model, self.output_shape)

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
        interpreter = find().interpreter(model_content=self._model, num_threads=1)
        interpreter.allocate_tensors()
        self._own.input = interpreter.get_input_details()[0]["index"]
        self._own.output = interpreter.get_output_details()[0]["index"]
        return interpreter


@dataclass(frozen=True)
class OfPicture:
    """The task of showing a frozen network pictures that are made when they are needed."""

    frozen: Frozen

    def setup(self) -> Callable[[Callable[[], Pixels]], Activations]:
        """As for every task."""
        return self.of

    def of(self, picture: Callable[[], Pixels]) -> Activations:
        """The frozen network's output for one picture."""
        return self.frozen(picture())
