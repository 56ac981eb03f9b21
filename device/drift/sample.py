"""What is noted of one moment: facts of the picture, and of the model's answer if there is one."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from device.contract.arrays import Pixels, Scores

Floats = npt.NDArray[np.float32]
BINS = 16
SIDE = 8
"""The layout of a picture is its brightness in this many rows and columns."""
CELLS = SIDE * SIDE
LUMA = (77, 150, 29)
"""Weights of R, G, B in 1/256 (ITU-R BT.601)."""
LEAST_LIGHT = 8.0
"""A picture that is darker than this on average has no colour cast that means anything."""
LEAST_CONTRAST = 2.0
"""Nor has a picture of less contrast than this a layout: it is of one colour."""


class Family(StrEnum):
    """What may have changed; each has another cure."""

    CAMERA = "camera"
    WORLD = "world"
    CONFIDENCE = "confidence"


@dataclass(frozen=True)
class Statistic:
    """One figure of a moment, and how its values fall into `BINS` bins."""

    name: str
    family: Family
    low: float
    """Lower edge of the second bin; everything below is in the first."""
    step: float
    """Width of a bin, after the root."""
    is_root: bool = False
    """Whether the bins are of equal width in the value's square root."""
    bad: int = 0
    """Whether only more (1) or only less (-1) of it is bad."""

    def bins(self, values: npt.ArrayLike) -> npt.NDArray[np.intp]:
        """The bin of each value, 0 to `BINS` - 1."""
        given = np.asarray(values, np.float64)
        scaled = np.sqrt(np.maximum(given, 0)) if self.is_root else given
        numbers = np.floor((scaled - self.low) / self.step) + 1
        found: npt.NDArray[np.intp] = np.clip(np.nan_to_num(numbers), 0, BINS - 1).astype(np.intp)
        return found


STATISTICS = (
    Statistic("brightness", Family.CAMERA, 1.0, 1.0, is_root=True),
    Statistic("contrast", Family.CAMERA, 0.7, 0.6, is_root=True),
    Statistic("sharpness", Family.CAMERA, 0.5, 0.4, is_root=True),
    Statistic("colour cast", Family.CAMERA, -0.28, 0.04),
    Statistic("distance", Family.WORLD, 0.25, 0.125, bad=1),
    Statistic("unknown", Family.WORLD, 0.5, 1.0, bad=1),
    Statistic("score", Family.CONFIDENCE, -1.5, 0.5, bad=-1),
    Statistic("margin", Family.CONFIDENCE, 0.5, 0.5, bad=-1),
)
VIEW = "view"
"""One more statistic of the camera, by day only: how far the layout of the picture is from that of
the reference."""
NAMES = (*(each.name for each in STATISTICS), VIEW)
FAMILY_OF = (*(each.family for each in STATISTICS), Family.CAMERA)
BAD = np.array([*(each.bad for each in STATISTICS), 0])
OF_PICTURE = tuple(each.family is Family.CAMERA for each in STATISTICS)


@dataclass(frozen=True)
class PictureFacts:
    """Facts of one prepared picture."""

    brightness: float
    """Mean brightness, 0 to 255."""
    contrast: float
    """Standard deviation of the brightness, 0 to 128."""
    sharpness: float
    """Mean absolute Laplacian of the brightness, 0 to 1020."""
    cast: float
    """Red minus blue as a share of all light, -1 to 1; 0 in the dark."""
    layout: Floats
    """float32 (`CELLS`,): brightness by place, with mean 0 and spread 1; zeros without contrast."""


@dataclass(frozen=True)
class AnswerFacts:
    """Facts of the model's answer to one picture."""

    label: int
    """Index of the best class."""
    accepted: bool
    """False: the answer is unknown."""
    score: float
    """Calibrated probability of the best class, 0 to 1."""
    odds: float
    """Log of the best score's odds."""
    lead: float
    """Log of the best score over the second."""
    distance: float | None = None
    """How strange the picture is, where 1 is as strange as is still accepted; None if unknown."""


@dataclass(frozen=True)
class Sample:
    """One moment."""

    picture: PictureFacts
    answer: AnswerFacts | None = None
    """None if nothing was classified."""

    def bins(self) -> list[tuple[int, int]]:
        """Which statistics there are, by number, and the bin of each."""
        values: list[float | None] = [
            self.picture.brightness,
            self.picture.contrast,
            self.picture.sharpness,
            self.picture.cast if self.picture.brightness >= LEAST_LIGHT else None,
        ]
        if (answer := self.answer) is not None:
            values += [answer.distance, float(not answer.accepted), answer.odds, answer.lead]
        pairs = zip(STATISTICS, values, strict=False)
        return [
            (number, int(statistic.bins(value)))
            for number, (statistic, value) in enumerate(pairs)
            if value is not None
        ]


def look(pixels: Pixels) -> PictureFacts:
    """The facts of a picture.

    Args:
        pixels: uint8 (h, w, 3), R, G, B, at least `SIDE` pixels a side, as the model gets it.
    """
    red, green, blue = (float(mean) for mean in pixels.mean(axis=(0, 1)))
    # int16 is half of the memory, and the largest sum is 1020.
    channels = pixels.astype(np.uint16)
    light = (channels @ np.array(LUMA, np.uint16) >> 8).astype(np.int16)
    around = light[:-2, 1:-1] + light[2:, 1:-1] + light[1:-1, :-2] + light[1:-1, 2:]
    total = red + green + blue
    return PictureFacts(
        brightness=float(light.mean()),
        contrast=float(light.std()),
        sharpness=float(np.abs(around - 4 * light[1:-1, 1:-1]).mean()),
        cast=(red - blue) / total if total >= 3 * LEAST_LIGHT else 0.0,
        layout=_layout(light),
    )


def _layout(light: npt.NDArray[np.int16]) -> Floats:
    height, width = (side // SIDE * SIDE for side in light.shape)
    blocks = light[:height, :width].reshape(SIDE, height // SIDE, SIDE, width // SIDE)
    cells = blocks.mean(axis=(1, 3)).ravel()
    spread = float(cells.std())
    if spread < LEAST_CONTRAST:
        return np.zeros(CELLS, np.float32)
    layout: Floats = ((cells - cells.mean()) / spread).astype(np.float32)
    return layout


def answer(scores: Scores, *, unknown: bool = False, distance: float | None = None) -> AnswerFacts:
    """The facts of an answer.

    Args:
        scores: float32 (classes,), calibrated probabilities, 0 to 1.
        unknown: whether the picture alone would be called unknown.
        distance: how strange the picture is.
    """
    best = int(scores.argmax())
    score = float(scores[best])
    second = float(np.delete(scores, best).max(initial=0.0))
    least = 1e-6
    return AnswerFacts(
        label=best,
        accepted=not unknown,
        score=score,
        odds=float(np.log(max(score, least) / max(1 - score, least))),
        lead=float(np.log(max(score, least) / max(second, least))),
        distance=distance,
    )
