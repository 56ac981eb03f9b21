"""Ways to say how strange pictures are, and what each turns away."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp, softmax

from convert.quantize.known import (
    OUTSIDE_UNIT,
    Seen,
    feature_statistics,
    of_length_one,
    taught,
)
from convert.verify.confidence import choose_limit, separation
from device.contract.statistics import OUTSIDE_WEIGHT, FeatureStatistics

KNOWN = ("train", "val", "test")
FAR = ("rendered", "other")
STRANGE, HELD_OUT = "strange", "strange_val"
"""All photos of the class that was left out; and those of the validation part, which choose."""
SHRINKAGE = 0.1
"""Of the covariances of classes: so much of them is the same in all directions."""
Doubles = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]


class Shown:
    """What a network that was never shown one class sees, part by part."""

    def __init__(self, name: str, arrays: Mapping[str, Any]) -> None:
        """`name` is that of the class, `arrays` are those that `LeftOut.shown` gave."""
        self.name, self.label, self.arrays = name, int(arrays["left_out"]), arrays
        self.classes = len(arrays["bias"])
        self._known: dict[tuple[Measure, str], Doubles] = {}

    def of(self, what: str, part: str) -> npt.NDArray[Any]:
        """An array of a part: "features", "map", "middle", "truth" or "events"."""
        if part == STRANGE:
            return np.concatenate([self._own(what, one) for one in KNOWN])
        if part == HELD_OUT:
            return self._own(what, "val")
        values = self.arrays[f"{what}_{part}"]
        if part not in KNOWN:
            return np.asarray(values)
        kept = np.asarray(values[self.arrays[f"truth_{part}"] != self.label])
        return kept - (kept > self.label) if what == "truth" else kept

    def _own(self, what: str, part: str) -> npt.NDArray[Any]:
        return np.asarray(self.arrays[f"{what}_{part}"][self.arrays[f"truth_{part}"] == self.label])

    def measured(self, measure: "Measure", part: str) -> Doubles:
        """What one way to measure says of a part, computed once."""
        key = (measure, part)
        if key not in self._known:
            self._known[key] = measure(self, part)
        return self._known[key]

    def logits(self, part: str) -> Doubles:
        """float64 (n, classes)."""
        return np.asarray(
            self.of("features", part) @ self.arrays["kernel"] + self.arrays["bias"], np.float64
        )

    def named(self, part: str) -> Labels:
        """The label that each picture gets."""
        return np.asarray(self.logits(part).argmax(axis=1), np.int64)

    @cached_property
    def statistics(self) -> FeatureStatistics:
        """The directions of known features, as `make convert` finds them."""
        events = self.of("events", "train").tolist()
        return feature_statistics(self.of("features", "train"), events, self.classes)

    @cached_property
    def taught_by_mixtures(self) -> FeatureStatistics:
        """The same, taught by blends of photos of two classes as if they were strangers."""
        parts = [
            Seen(self.of("features", part), self.of("events", part).tolist())
            for part in ("train", "val")
        ]
        mixed = self.of("features", "mixed")
        strangers = Seen(mixed, [str(number) for number in range(len(mixed))])
        return taught(self.statistics, parts[0], strangers, parts[1])


def doubt(shown: Shown, part: str) -> Doubles:
    """Minus the highest logit."""
    return -np.asarray(shown.logits(part).max(axis=1))


def energy(shown: Shown, part: str) -> Doubles:
    """Minus what all logits together say (Liu et al. 2020)."""
    return -np.asarray(logsumexp(shown.logits(part), axis=1))


def score(shown: Shown, part: str) -> Doubles:
    """Minus the highest probability."""
    return -np.asarray(softmax(shown.logits(part), axis=1).max(axis=1))


def margin(shown: Shown, part: str) -> Doubles:
    """Minus how far the highest logit is above the next."""
    ranked = np.sort(shown.logits(part), axis=1)
    return np.asarray(ranked[:, -2] - ranked[:, -1])


def weakest_cell(shown: Shown, part: str) -> Doubles:
    """Minus the logit of the class that a picture is called where it is seen least."""
    return -np.asarray(_own_map(shown, part).min(axis=1))


def strongest_cell(shown: Shown, part: str) -> Doubles:
    """Minus the same where it is seen best."""
    return -np.asarray(_own_map(shown, part).max(axis=1))


def divided(shown: Shown, part: str) -> Doubles:
    """The share of the class map's cells that show another class most."""
    cells = shown.of("map", part).argmax(axis=3) != shown.named(part)[:, None, None]
    return np.asarray(cells.mean(axis=(1, 2)), np.float64)


def _own_map(shown: Shown, part: str) -> Doubles:
    cells = shown.of("map", part).reshape(len(shown.named(part)), -1, shown.classes)
    own = np.take_along_axis(cells, shown.named(part)[:, None, None], axis=2)
    return np.asarray(own[:, :, 0], np.float64)


def outside(shown: Shown, part: str) -> Doubles:
    """What lies beside the known directions."""
    rows = shown.of("features", part)
    return np.array([shown.statistics.outside(row) for row in rows])


def outside_taught(shown: Shown, part: str) -> Doubles:
    """The same, with what mixtures taught."""
    rows = shown.of("features", part)
    return np.array([shown.taught_by_mixtures.outside(row) for row in rows])


def middle(shown: Shown, part: str) -> Doubles:
    """Before the trained blocks, how far from the class that the picture is called."""
    return _from_class(shown, part, lambda one: shown.of("middle", one))


def middle_mean(shown: Shown, part: str) -> Doubles:
    """The same by the means over the picture alone, without their spread."""
    return _from_class(shown, part, lambda one: np.split(shown.of("middle", one), 2, axis=1)[0])


def inside(shown: Shown, part: str) -> Doubles:
    """Along the known directions, how far from the class that the picture is called."""
    directions = shown.statistics.directions
    return _from_class(
        shown, part, lambda one: of_length_one(shown.of("features", one)) @ directions
    )


def _from_class(shown: Shown, part: str, rows_of: Callable[[str], npt.NDArray[Any]]) -> Doubles:
    """By the mean and the covariance of the training photos of that class."""
    taught, rows = rows_of("train").astype(np.float64), rows_of(part).astype(np.float64)
    truth, named, found = shown.of("truth", "train"), shown.named(part), np.zeros(len(rows))
    for label in range(shown.classes):
        own, apart = taught[truth == label], rows[named == label]
        apart = apart - own.mean(axis=0)
        found[named == label] = np.einsum("ij,jk,ik->i", apart, _inverse(np.cov(own.T)), apart)
    return np.asarray(np.sqrt(found))


def _inverse(covariance: Doubles) -> Doubles:
    even = np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    return np.linalg.inv((1 - SHRINKAGE) * covariance + SHRINKAGE * even)


Measure = Callable[[Shown, str], Doubles]
TODAY = OUTSIDE_WEIGHT / OUTSIDE_UNIT


@dataclass(frozen=True)
class Way:
    """A sum of measures, each in units of its spread on validation photos."""

    name: str
    parts: tuple[tuple[Measure, float], ...]
    """With their weights."""
    by_label: bool = True
    """Whether each label has a limit of its own."""


DEFAULT = Way(
    "highest logit and 48 directions, 1 to 2.5: the default", ((doubt, 1), (outside, TODAY))
)
WAYS = (
    DEFAULT,
    Way("highest probability", ((score, 1),), by_label=False),
    Way("the default, one limit for all labels", DEFAULT.parts, by_label=False),
    Way("1 to 1.5", ((doubt, 1), (outside, 1.5))),
    Way("1 to 1", ((doubt, 1), (outside, 1))),
    Way("highest logit alone", ((doubt, 1),)),
    Way("energy and directions, 1 to 2.5", ((energy, 1), (outside, TODAY))),
    Way("distance to the next logit and directions, 1 to 2.5", ((margin, 1), (outside, TODAY))),
    Way(
        "and the class map where it is strongest, 1 to 2.5 to 1",
        (*DEFAULT.parts, (strongest_cell, 1)),
    ),
    Way("and where it is weakest, 1 to 2.5 to 1", (*DEFAULT.parts, (weakest_cell, 1))),
    Way(
        "and how many of its cells show another class, 1 to 2.5 to 1",
        (*DEFAULT.parts, (divided, 1)),
    ),
    Way("mixtures of classes teach, 1 to 2.5", ((doubt, 1), (outside_taught, TODAY))),
    Way("the default and the class along the directions, 1", (*DEFAULT.parts, (inside, 1))),
    Way("the default and block 12, 0.5", (*DEFAULT.parts, (middle, 0.5))),
    Way("the default and block 12's mean alone, 0.5", (*DEFAULT.parts, (middle_mean, 0.5))),
    Way("the default and block 12, 1", (*DEFAULT.parts, (middle, 1))),
    Way("logit, directions, block 12, 1 to 1.5 to 1", ((doubt, 1), (outside, 1.5), (middle, 1))),
    Way("energy, directions, block 12, 1 to 1.5 to 1", ((energy, 1), (outside, 1.5), (middle, 1))),
    Way("logit and block 12, 1 to 1", ((doubt, 1), (middle, 1))),
)


@dataclass(frozen=True)
class Outcome:
    """What becomes of photos and pictures, by part, before one network."""

    away: dict[str, npt.NDArray[np.bool_]]
    areas: dict[str, float]
    """Against the test part; of the validation part's strangers, against the validation part."""
    events: dict[str, npt.NDArray[np.str_]]
    """Of the photos of the parts that compare ways."""


def judge(shown: Shown, way: Way) -> Outcome:
    """Choose limits by validation photos, and ask about all others."""
    strange = {part: np.zeros(0) for part in ("val", "test", STRANGE, HELD_OUT, *FAR)}
    strange = {part: _strangeness(shown, way, part) for part in strange if _there(shown, part)}
    limits = _limits(shown, way, strange["val"])
    return Outcome(
        {part: values > limits[shown.named(part)] for part, values in strange.items()},
        {
            part: separation(strange["val" if part == HELD_OUT else "test"], values)
            for part, values in strange.items()
        },
        {part: shown.of("events", part) for part in ("test", HELD_OUT)},
    )


def _there(shown: Shown, part: str) -> bool:
    return part not in FAR or f"features_{part}" in shown.arrays


def _strangeness(shown: Shown, way: Way, part: str) -> Doubles:
    total = np.zeros(len(shown.of("features", part)))
    for measure, weight in way.parts:
        usual = shown.measured(measure, "val")
        low, centre, high = np.quantile(usual, (0.25, 0.5, 0.75))
        # Of most known photos no cell shows another class, so the middle half is all alike.
        spread = float(high - low) or float(usual.std()) or 1.0
        total += weight * (shown.measured(measure, part) - centre) / spread
    return total


def _limits(shown: Shown, way: Way, strange: Doubles) -> Doubles:
    """float64 (classes,)."""
    events, named = shown.of("events", "val"), shown.named("val")
    whole = choose_limit(strange, events.tolist())
    found = []
    for label in range(shown.classes):
        own = named == label
        limit = choose_limit(strange[own], events[own].tolist()) if way.by_label else None
        found.append(whole if limit is None else limit)
    return np.array(found, np.float64)
