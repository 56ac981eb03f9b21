"""A frame on its way through the loop: prepared for the model, then with what the model says."""

import time
from dataclasses import dataclass
from typing import Any

from device.camera.frame import Frame
from device.contract.arrays import Box, Pixels
from device.contract.look.rules import Outcome, Seen
from device.contract.preprocess import crop_box
from device.inference.classifier import Classifier, Prediction
from device.settings.region import region_pixels
from device.telemetry.observation import NOTHING


@dataclass(frozen=True)
class Prepared:
    """A frame, and the part of it that the model will see."""

    frame: Frame
    pixels: Pixels | None
    """uint8 (height_px, width_px, 3) for `classifier`; None if the frame has an error, or shows
    nothing to classify."""
    classifier: Classifier
    crop_box: Box
    prepare_s: float
    outcome: Outcome | None = None
    """What a look at the frame showed; None if it was not looked at."""
    look_s: float = 0.0
    """Of `prepare_s`."""
    others: tuple[tuple[Box, Pixels], ...] = ()
    """Further subjects, the larger first: where they are, and prepared like `pixels`."""


@dataclass(frozen=True)
class Other:
    """One more subject in a frame."""

    box: Box
    prediction: Prediction


@dataclass(frozen=True)
class Result:
    """One frame and the model's prediction for it; none if it has an error, or was not needed."""

    number: int
    frame: Frame
    prediction: Prediction | None
    classifier: Classifier
    outcome: Outcome | None = None
    """What a look at the frame showed; None if it was not looked at."""
    crop_box: Box = (0, 0, 0, 0)
    invoke_s: float = 0.0
    prepare_s: float = 0.0
    """To look, crop and resize."""
    look_s: float = 0.0
    """Of `prepare_s`."""
    copy_s: float = 0.0
    """Into the input tensor."""
    scores_s: float = 0.0
    """To read and dequantize the output."""
    others: tuple[Other, ...] = ()
    """Further subjects, the larger first."""

    @property
    def is_answered(self) -> bool:
        """Whether the prediction is an answer about this frame, and not only a check."""
        return self.prediction is not None and needs_model(self.outcome)

    @property
    def overhead_s(self) -> float:
        """Work on this frame other than capture and invoke."""
        return self.prepare_s + self.copy_s + self.scores_s

    def record(self) -> dict[str, Any]:
        """What was found in a frame that has a picture, as a JSON object."""
        seen = self.outcome.seen if self.outcome else None
        found: dict[str, Any] = {"label": None, "score": 0.0, "unknown": False}
        found |= {"why": None, "scores": {}}
        if self.is_answered:
            assert self.prediction is not None
            found = self.prediction.record()
        elif seen is Seen.NOTHING:
            found["label"] = NOTHING
        return {
            **found,
            "seen": seen.value if seen else None,
            "box": [*self.crop_box] if seen is Seen.SOMETHING else None,
            "invoke_ms": round(self.invoke_s * 1e3, 3),
            "overhead_ms": round(self.overhead_s * 1e3, 3),
        }


def needs_model(outcome: Outcome | None) -> bool:
    """Whether what was seen must be classified."""
    return outcome is None or outcome.seen in (Seen.LEARNING, Seen.SOMETHING)


def region_box(
    width: int, height: int, region: tuple[float, float, float, float], classifier: Classifier
) -> Box:
    """The box that the model sees: the centred crop of a region of the frame.

    Args:
        width: of the frame, pixels.
        height: of the frame, pixels.
        region: left, top, right, bottom in fractions of the frame.
        classifier: the box gets the aspect ratio of its input.
    """
    left, top, right, bottom = region_pixels(region, width, height)
    inner = crop_box(right - left, bottom - top, classifier.preprocessing)
    return (left + inner[0], top + inner[1], left + inner[2], top + inner[3])


def infer(number: int, prepared: Prepared) -> Result:
    """Classify one prepared frame."""
    classifier = prepared.classifier
    if prepared.pixels is None:
        return Result(
            number,
            prepared.frame,
            None,
            classifier,
            prepared.outcome,
            prepared.crop_box,
            prepare_s=prepared.prepare_s,
            look_s=prepared.look_s,
        )
    # The main one last: it leaves its class map in the classifier.
    others = tuple(
        Other(box, classifier.classify(pixels)) for box, pixels in reversed(prepared.others)
    )
    started_s = time.perf_counter()
    classifier.set_input(prepared.pixels)
    before_invoke_s = time.perf_counter()
    classifier.invoke()
    after_invoke_s = time.perf_counter()
    prediction = classifier.prediction()
    ended_s = time.perf_counter()
    return Result(
        number,
        prepared.frame,
        prediction,
        classifier,
        prepared.outcome,
        prepared.crop_box,
        invoke_s=after_invoke_s - before_invoke_s,
        prepare_s=prepared.prepare_s,
        copy_s=before_invoke_s - started_s,
        scores_s=ended_s - after_invoke_s,
        look_s=prepared.look_s,
        others=others[::-1],
    )
