"""Which trials are on the frontier, and how far one is behind another on the same photos."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from convert.errors import InputError
from convert.sweep.trial import Figures, Trial
from convert.verify.statistics import paired_effective_n, paired_interval_points
from device.workstation.measures import NORMAL_95


@dataclass(frozen=True)
class Entry:
    """A trial that ended well, with what is known of it."""

    name: str
    figures: Figures
    counts: Mapping[str, int]
    """Instructions of one inference by core; empty if they were not counted."""

    @property
    def accuracy(self) -> float:
        """Of int8 on the validation part, which chooses."""
        return self.figures.validation.accuracy

    @property
    def needs(self) -> tuple[int, int]:
        """Work and size, which are the same anywhere; times differ from run to run."""
        return self.figures.cost.macs, self.figures.cost.model_bytes


def check_same_photos(trials: Sequence[Trial]) -> None:
    """Refuse to compare trials of different photos.

    Raises:
        InputError: naming one that is of others than the first.
    """
    others = [one.name for one in trials if one.fingerprint != trials[0].fingerprint]
    if others:
        raise InputError(
            f"{others[0]} was tried on other photos than {trials[0].name}; run `make sweep` again"
        )


def dominators(entries: Sequence[Entry]) -> dict[str, str]:
    """By name of a dominated trial one that dominates it, the most accurate one.

    One dominates another if it is at least as accurate on the validation part and needs no more
    work and no larger file, and is better in one of these. What is left is the frontier.
    """
    found = {}
    for entry in entries:
        better = [other for other in entries if _dominates(other, entry)]
        if better:
            found[entry.name] = max(better, key=lambda one: (one.accuracy, one.name)).name
    return found


def _dominates(one: Entry, other: Entry) -> bool:
    mine, others = (one.accuracy, *_less(one)), (other.accuracy, *_less(other))
    return mine != others and all(a >= b for a, b in zip(mine, others, strict=True))


def _less(entry: Entry) -> tuple[int, ...]:
    return tuple(-need for need in entry.needs)


def frontier(entries: Sequence[Entry], price: Callable[[Entry], float]) -> list[Entry]:
    """The trials that no other beats at one price, the cheapest first.

    None of the others is at least as accurate on the validation part for no more, and better in one
    of these.
    """
    best, found = -1.0, list[Entry]()
    for entry in sorted(entries, key=lambda one: (price(one), -one.accuracy, one.name)):
        if entry.accuracy > best:
            best = entry.accuracy
            found.append(entry)
    return found


@dataclass(frozen=True)
class Behind:
    """How far one trial is behind another on the validation part, photo by photo."""

    points: float
    """Percentage points; below 0 if it is ahead."""
    error_points: float
    """The standard error of that difference; photos of one event count as correlated."""

    @property
    def within_error(self) -> bool:
        """Whether the photos hardly tell the two apart."""
        return self.points <= self.error_points


def behind(best: Entry, other: Entry, events: Sequence[str]) -> Behind:
    """Compare a trial with the best one.

    Args:
        best: the trial to compare with.
        other: of the same split.
        events: the event of each validation photo, in the order of the split.
    """
    right, other_right = (_bits(entry) for entry in (best, other))
    change = right - other_right
    lost, won = int((change > 0).sum()), int((change < 0).sum())
    effective = paired_effective_n(change, events)
    single = effective / len(change)
    low, high = paired_interval_points(lost * single, won * single, effective)
    return Behind(100 * (lost - won) / len(change), (high - low) / 2 / NORMAL_95)


def _bits(entry: Entry) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    return np.array([int(digit) for digit in entry.figures.validation.right], np.int64)
