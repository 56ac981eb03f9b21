"""What is noted of one moment: facts of the picture, and of the model's answer if there is one."""

import math
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
SHARPEST = 0.95
"""The sharpness of a picture is that of an edge that is sharper than this share of it."""
LEAST = 1e-6
"""Scores count as at least this in logarithms."""


class Family(StrEnum):
    """What may have changed; each has another cure."""

    CAMERA = "camera"
    WORLD = "world"
    CONFIDENCE = "confidence"
    PLACE = "place"
    """Of no statistic of the camera's own: the bundle is its reference (`device.drift.place`)."""


@dataclass(frozen=True)
class Statistic:
    """One figure of a moment, and how its values fall into `BINS` bins."""

    name: str
    family: Family
    low: float
    """Where the first bin ends; everything below it is in the first."""
    step: float
    """Width of a bin, after the root."""
    is_root: bool = False
    """Whether the bins are of equal width in the value's square root."""
    bad: int = 0
    """Whether only more (1) or only less (-1) of it is bad."""

    def places(self, values: npt.ArrayLike) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64]]:
        """Where each value falls: a bin, 0 to `BINS` - 2, and its share of the next one, 0 to 1.

        Shared by two bins, a value that hardly changes hardly changes what is counted.
        """
        given = np.asarray(values, np.float64)
        scaled = np.sqrt(np.maximum(given, 0)) if self.is_root else given
        numbers = np.clip(np.nan_to_num((scaled - self.low) / self.step + 0.5), 0, BINS - 1)
        lower = np.minimum(numbers.astype(np.intp), BINS - 2)
        return lower, numbers - lower


STATISTICS = (
    Statistic("brightness", Family.CAMERA, 1.0, 1.0, is_root=True),
    Statistic("contrast", Family.CAMERA, 0.08, 0.06),
    Statistic("sharpness", Family.CAMERA, -1.9, 0.2),
    Statistic("colour cast", Family.CAMERA, -0.28, 0.04),
    Statistic("distance", Family.WORLD, 0.375, 0.2, bad=1),
    Statistic("unknown", Family.WORLD, 0.5, 0.01, bad=1),
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
    """Absolute Laplacian of the brightness at half size, 0 to 1020: that of the sharpest edges."""
    cast: float
    """Red minus blue as a share of all light, -1 to 1; 0 in the dark."""
    layout: Floats
    """float32 (`CELLS`,): brightness by place, with mean 0 and spread 1; zeros without contrast."""

    def values(self) -> list[float | None]:
        """Of the first statistics; None for those that mean nothing in the dark.

        Contrast as a share of the brightness, and sharpness as a share of the contrast, are the
        same in any light and weather.
        """
        is_light = self.brightness >= LEAST_LIGHT
        is_clear = is_light and self.contrast >= LEAST_CONTRAST
        return [
            self.brightness,
            self.contrast / self.brightness if is_light else None,
            math.log(max(self.sharpness / self.contrast, LEAST)) if is_clear else None,
            self.cast if is_light else None,
        ]


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
    """How strange the picture is for its label: below 0 for half of known photos, 1 at the limit of
    what is accepted; None if that is not known."""


@dataclass(frozen=True)
class Sample:
    """One moment."""

    picture: PictureFacts
    answer: AnswerFacts | None = None
    """None if nothing was classified."""

    def places(self) -> list[tuple[int, int, float]]:
        """Which statistics there are, by number, and where each falls (`Statistic.places`)."""
        values = self.picture.values()
        if (answer := self.answer) is not None:
            values += [answer.distance, float(not answer.accepted), answer.odds, answer.lead]
        pairs = zip(STATISTICS, values, strict=False)
        found = []
        for number, (statistic, value) in enumerate(pairs):
            if value is not None:
                lower, share = statistic.places(value)
                found.append((number, int(lower), float(share)))
        return found


def look(pixels: Pixels) -> PictureFacts:
    """The facts of a picture.

    Args:
        pixels: uint8 (h, w, 3), R, G, B, at least `SIDE` pixels a side, as the model gets it.
    """
    red, green, blue = (float(mean) for mean in pixels.mean(axis=(0, 1)))
    # int16 is half of the memory, and the largest sum is 1020.
    channels = pixels.astype(np.uint16)
    light = (channels @ np.array(LUMA, np.uint16) >> 8).astype(np.int16)
    total = red + green + blue
    return PictureFacts(
        brightness=float(light.mean()),
        contrast=float(light.std()),
        sharpness=_sharpness(light),
        cast=(red - blue) / total if total >= 3 * LEAST_LIGHT else 0.0,
        layout=_layout(light),
    )


def _sharpness(light: npt.NDArray[np.int16]) -> float:
    """By the sharpest edges, which blur smears; grain, and places without detail, hardly count."""
    height, width = (side // 2 * 2 for side in light.shape)
    even = light[:height, :width]
    half = (even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]) >> 2
    around = half[:-2, 1:-1] + half[2:, 1:-1] + half[1:-1, :-2] + half[1:-1, 2:]
    edges = np.abs(around - 4 * half[1:-1, 1:-1]).ravel()
    rank = int(len(edges) * SHARPEST)
    return float(np.partition(edges, rank)[rank])


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
    return AnswerFacts(
        label=best,
        accepted=not unknown,
        score=score,
        odds=math.log(max(score, LEAST) / max(1 - score, LEAST)),
        lead=math.log(max(score, LEAST) / max(second, LEAST)),
        distance=distance,
    )
