"""One picture in, one score per class out, on whichever TFLite runtime is installed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from device.contract.arrays import Box, Pixels, Scores
from device.contract.bundle import Bundle
from device.contract.look.rules import LookRules, Region
from device.contract.photos import load_box, load_photo, read_photo
from device.contract.preprocess import Preprocessing
from device.contract.runtimes import AUTO, EDGETPU
from device.contract.statistics import FeatureStatistics
from device.errors import BundleError, UsageError, one_line
from device.inference.outputs import CLASS_MAP, FEATURES, PROBABILITIES, roles
from device.inference.runtime import Runtime, find
from device.quiet import quiet_native_stderr
from device.telemetry.unknown import Doubt, UnknownRule


@dataclass(frozen=True)
class Prediction:
    """What the model says about one picture."""

    labels: tuple[str, ...]
    scores: Scores
    """One probability per label, 0..1."""
    distance: float | None = None
    """How strange the picture is for its label: 0 is the middle of known photos, 1 the limit that
    one in twenty exceeds. None if nothing is known of known photos."""
    limit: float | None = None
    """Beyond this distance the picture counts as showing nothing known; None: none is."""
    novelty: float | None = None
    """Whether it is strange for what it shows (above 0) or for its classes being alike (below), as
    `FeatureStatistics.novelty`; None like `distance`."""

    @property
    def best(self) -> int:
        """Index of the highest score (the first one if several are equal)."""
        return int(self.scores.argmax())

    @property
    def label(self) -> str:
        """The most probable class."""
        return self.labels[self.best]

    @property
    def score(self) -> float:
        """The probability of `label`, 0..1."""
        return float(self.scores[self.best])

    @property
    def unknown(self) -> bool:
        """Whether the picture is too strange to show something known."""
        return UnknownRule(self.limit).turns_away(self.score, self.distance)

    @property
    def doubt(self) -> Doubt | None:
        """Why it is unknown; None if it is not."""
        if not self.unknown:
            return None
        return UnknownRule(self.limit).doubt(self.labels, self.scores, self.novelty)

    def record(self) -> dict[str, Any]:
        """Label, score, whether and why it is unknown, distance, and all scores, as JSON."""
        named = zip(self.labels, self.scores, strict=True)
        scores = {name: round(float(score), 6) for name, score in named}
        return {
            "label": self.label,
            "score": round(self.score, 6),
            "unknown": self.unknown,
            "why": self.doubt.words() if self.doubt else None,
            "distance": None if self.distance is None else round(self.distance, 4),
            "scores": scores,
        }


def dequantize(raw: npt.NDArray[Any], scale: float, zero_point: int) -> Scores:
    """Real values of a tensor: (raw - zero_point) * scale (Jacob et al. 2018, equation 1).

    Args:
        raw: uint8 or int8 of any shape; floating-point values pass through unchanged.
        scale: real step between two raw values; 0 marks a tensor without quantization.
        zero_point: the raw value that means 0.
    """
    if np.issubdtype(raw.dtype, np.floating) or scale == 0:
        return raw.astype(np.float32)
    # int32 first: uint8 minus a zero point would wrap around.
    return ((raw.astype(np.int32) - zero_point) * np.float32(scale)).astype(np.float32)


class Classifier:
    """A model, its labels and its preprocessing, ready to classify.

    Not safe for use by several threads at once: an interpreter has one set of tensors.
    """

    def __init__(
        self,
        model: bytes,
        labels: Sequence[str],
        preprocessing: Preprocessing,
        *,
        limit: float | None = None,
        statistics: FeatureStatistics | None = None,
        region: Region = Region.WHOLE,
        look: LookRules | None = None,
        runtime: str | Runtime = AUTO,
        threads: int | None = None,
    ) -> None:
        """Build the interpreter from bytes that the caller has verified.

        Args:
            limit: beyond this distance a picture is called unknown; None: none is.
            statistics: of known photos; None: pictures get no distance.
            region: what of a picture the model was trained to see.
            look: how boxes in the pictures that it was trained on were found.

        Raises:
            BundleError: if the model cannot be loaded, or its shapes do not fit the rest.
            RuntimeUnavailableError: if no runtime can be imported.
            UsageError: if `threads` is below 1.
        """
        if threads is not None and threads < 1:
            raise UsageError(f"--threads {threads}: at least 1")
        self.labels = tuple(labels)
        self.preprocessing = preprocessing
        self.limit, self.statistics = limit, statistics
        self.region, self.look = region, look or LookRules()
        self.runtime = runtime if isinstance(runtime, Runtime) else find(runtime)
        self._interpreter = _load(self.runtime, model, threads)
        self._input = self._interpreter.get_input_details()[0]
        self._input_tensor = self._interpreter.tensor(self._input["index"])
        details = self._interpreter.get_output_details()
        names = roles([detail["shape"] for detail in details], len(self.labels))
        self._outputs = dict(zip(names, details, strict=True))
        self._output_tensors = {
            name: self._interpreter.tensor(detail["index"])
            for name, detail in self._outputs.items()
        }
        self._real_values = {name: _real_values(detail) for name, detail in self._outputs.items()}
        self._check_input()
        self._check_features()

    @classmethod
    def from_bundle(
        cls, bundle: Bundle, *, runtime: str | Runtime = AUTO, threads: int | None = None
    ) -> "Classifier":
        """The classifier of a loaded bundle; raises as the constructor does."""
        found = runtime if isinstance(runtime, Runtime) else find(runtime)
        model = bundle.edgetpu_model if found.name == EDGETPU else bundle.model
        if not model:
            raise BundleError("the bundle has no model for the Edge TPU")
        return cls(
            model,
            bundle.labels,
            bundle.preprocessing,
            limit=bundle.limit,
            statistics=bundle.statistics,
            region=bundle.region,
            look=bundle.look,
            runtime=found,
            threads=threads,
        )

    def classify(self, pixels: Pixels) -> Prediction:
        """Classify one prepared picture.

        Args:
            pixels: uint8 (height_px, width_px, 3) from `device.contract.preprocess`.
        """
        self.set_input(pixels)
        self.invoke()
        return self.prediction()

    def classify_file(self, path: Path, box: Box | None = None) -> Prediction:
        """Classify a photo file.

        Args:
            path: of the file.
            box: the part that is classified, as for `load_box`; None: as much as the model takes.

        Raises:
            PhotoError: if it cannot be read, is not a photo, or does not contain the box.
        """
        if box is None:
            return self.classify(load_photo(path, self.preprocessing))
        return self.classify(load_box(read_photo(path), box, self.preprocessing))

    def set_input(self, pixels: Pixels) -> None:
        """Write a prepared picture into the input tensor.

        An int8 input gets each byte minus 128, a float input the value 0..255: in every model of
        this project the conversion from bytes to the network's range is inside the model.
        """
        # The runtime's own memory. No view of it may outlive this call, or `invoke` refuses to run.
        tensor = self._input_tensor()[0]
        if tensor.dtype == np.uint8:
            # Not `np.copyto`: it releases Python's lock. If the preparing thread then holds the
            # lock inside Pillow, getting it back takes a millisecond.
            tensor.data.cast("B")[:] = np.ascontiguousarray(pixels).data.cast("B")
        elif tensor.dtype == np.int8:
            np.bitwise_xor(pixels, 0x80, out=tensor.view(np.uint8))
        else:
            np.copyto(tensor, pixels)

    def invoke(self) -> None:
        """Run the model on the input tensor."""
        self._interpreter.invoke()

    def prediction(self) -> Prediction:
        """The result of the last invoke."""
        seen = Prediction(self.labels, self.scores(), limit=self.limit)
        if self.statistics is None:
            return seen
        measured = self.statistics.measured(self.logits(), self.features())
        distance = self.statistics.distance(seen.best, measured)
        return replace(seen, distance=distance, novelty=self.statistics.novelty(measured))

    def scores(self) -> Scores:
        """float32 (classes,): the probabilities of the last invoke."""
        return self._real(PROBABILITIES)

    @property
    def has_class_map(self) -> bool:
        """Whether the model has an output that says where it sees each class."""
        return CLASS_MAP in self._outputs

    def class_map(self) -> Scores:
        """float32 (rows, columns, classes): where each class was seen, as logits.

        Their mean over the map, through a softmax, is `scores`.

        Raises:
            BundleError: if the model has no such output.
        """
        if not self.has_class_map:
            raise BundleError("this model has no class map")
        return self._real(CLASS_MAP)

    @property
    def has_features(self) -> bool:
        """Whether the model has an output with its features."""
        return FEATURES in self._outputs

    def features(self) -> Scores:
        """float32 (features,): what the last convolution found, averaged over the picture.

        Raises:
            BundleError: if the model has no such output.
        """
        if not self.has_features:
            raise BundleError("this model has no output with features; build it again with `make`")
        return self._real(FEATURES)

    def logits(self) -> Scores:
        """float32 (classes,): the mean of the class map; raises as `class_map` does."""
        return np.asarray(self.class_map().mean(axis=(0, 1)), np.float32)

    def raw_outputs(self) -> dict[str, npt.NDArray[Any]]:
        """The outputs of the last invoke as the model wrote them, by name, without batch."""
        return {
            name: self._interpreter.get_tensor(detail["index"])[0]
            for name, detail in self._outputs.items()
        }

    def tensor_records(self) -> dict[str, Any]:
        """Shape, type, scale and zero point of the input and of each output, for the manifest."""
        return {
            "input": _tensor_record(self._input),
            "outputs": {name: _tensor_record(detail) for name, detail in self._outputs.items()},
        }

    def _real(self, name: str) -> Scores:
        raw, values = self._output_tensors[name]()[0], self._real_values[name]
        if values is None:
            return dequantize(raw, *self._outputs[name]["quantization"])
        scores: Scores = values[raw.view(np.uint8)]
        return scores

    def _check_input(self) -> None:
        shape = tuple(int(n) for n in self._input["shape"])
        if shape != (1, *self.preprocessing.shape):
            raise BundleError(
                f"the model takes {shape}, preprocessing gives {(1, *self.preprocessing.shape)}"
            )
        if self._input["dtype"] not in (np.uint8, np.int8, np.float32):
            raise BundleError(f"the model takes {self._input['dtype'].__name__}, not pictures")

    def _check_features(self) -> None:
        if self.statistics and len(self.features()) != len(self.statistics.directions):
            raise BundleError(
                f"the model has {len(self.features())} features, the statistics are of "
                f"{len(self.statistics.directions)}: build the bundle again with `make bundle`"
            )


def _load(runtime: Runtime, model: bytes, threads: int | None) -> Any:
    try:
        with quiet_native_stderr():
            interpreter = runtime.interpreter(model_content=model, num_threads=threads)
            interpreter.allocate_tensors()
    except Exception as error:
        text = one_line(error)
        if "edgetpu-custom-op" in text:
            text = "it is compiled for the Edge TPU and needs one; use the CPU model instead"
        raise BundleError(f"{runtime.name} cannot load the model: {text}") from error
    return interpreter


def _real_values(detail: Mapping[str, Any]) -> Scores | None:
    """The real value of each byte of an output, float32 (256,); None if it is not of bytes.

    A lookup takes a tenth of the time of computing, which saves 0.04 ms per frame.
    """
    dtype = np.dtype(detail["dtype"])
    if dtype not in (np.uint8, np.int8):
        return None
    return dequantize(np.arange(256, dtype=np.uint8).view(dtype), *detail["quantization"])


def _tensor_record(detail: Mapping[str, Any]) -> dict[str, Any]:
    scale, zero_point = detail["quantization"]
    return {
        "shape": [int(n) for n in detail["shape"]],
        "dtype": np.dtype(detail["dtype"]).name,
        "scale": float(scale),
        "zero_point": int(zero_point),
    }
