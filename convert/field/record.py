"""The record `field.json`: what a bundle promised, what was seen, and by which photos."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from convert.field.moments import NO_DAY
from device.contract.arrays import Box
from device.contract.look.rules import Seen
from device.contract.provenance import OTHER
from device.workstation.conversion import Interval
from device.workstation.records import Record
from device.workstation.wording import shown

NOTHING_SEEN = "nothing seen"
"""The answer to a photo that shows nothing new before its background."""


class FieldVerdict(StrEnum):
    """Whether a bundle keeps in the field what its verification promised."""

    AS_PROMISED = "as promised"
    LOWER = "lower than promised"
    NOT_ENOUGH = "not enough events to tell"


@dataclass(frozen=True)
class Figure:
    """A share of running time, estimated from photos of random moments."""

    n: int
    """Photos."""
    events: int
    effective_n: float
    """As many independent photos would give this interval."""
    value: float
    """0..1; each photo weighs 1 / probability."""
    interval: Interval


@dataclass(frozen=True)
class Promise:
    """What the manifest of the bundle says about photos that nothing was trained on."""

    accuracy: float
    interval: Interval
    n: int
    events: int
    held_out: bool
    """Whether these were held out in turn, from all parts; otherwise they are the test part."""
    unknown: float
    """Share of photos of known classes that the device calls unknown."""
    new_places_accuracy: float | None
    """None if the training photos were all taken at one place."""
    new_places_interval: Interval | None


@dataclass(frozen=True)
class Group:
    """The photos of one class, device or day; only those that show a known class."""

    name: str
    right: Figure
    """The share whose most probable class is the right one."""
    unknown: Figure
    """The share that the device calls unknown."""
    stands_out: bool
    """Whether it is worse than the rest by more than chance gives."""


@dataclass(frozen=True)
class Confusion:
    """Photos of one class that were taken for another, or in which nothing was seen."""

    label: str
    predicted: str
    n: int
    events: int
    share: float
    """Of the running time with `label`, 0..1."""


@dataclass(frozen=True)
class Figures:
    """All that was estimated from the photos that judge."""

    right: Figure | None
    """Share with the right class among photos of known classes; None without any."""
    unknown: Figure | None
    """Share of the same that is called unknown."""
    other_unknown: Figure | None
    """Share of the photos of `OTHER` that is called unknown; None without any."""
    names_right: Figure | None
    """Share that is right of what the device names, `OTHER` included; None if it names nothing."""
    by_class: tuple[Group, ...]
    by_device: tuple[Group, ...]
    by_day: tuple[Group, ...]
    confusions: tuple[Confusion, ...]
    """The most frequent first."""


@dataclass(frozen=True)
class JudgedPhoto:
    """A photo that judges, and what the bundle says about it."""

    path: str
    """Relative to the folder."""
    sha256: str
    device: str
    time: str
    """UTC, ISO 8601, as the device wrote it."""
    day: str
    event: str
    probability: float
    """`photos.LEAST_PROBABILITY` to 1."""
    label: str
    """The class it was sorted into, or `OTHER`."""
    seen: Seen | None
    """What a look at it shows; None if the camera is not looked at."""
    box: Box | None
    """What of it the model was shown, in its pixels; None for the centred crop."""
    predicted: str
    """The most probable class, or `NOTHING_SEEN`."""
    score: float
    """Its probability, 0..1."""
    unknown: bool
    """Whether the device answers "unknown" or "nothing"."""
    named: str
    """What the device took it for when it saved it; empty if another model did."""

    @property
    def known(self) -> bool:
        """Whether it shows a class of the bundle."""
        return self.label != OTHER

    @property
    def right(self) -> bool:
        """Whether the most probable class is right; for `OTHER`, whether it is called unknown."""
        named = self.predicted == self.label and self.seen is not Seen.NOTHING
        return named if self.known else self.unknown


@dataclass(frozen=True)
class LeftOut:
    """Photos that do not judge, and why."""

    reason: str
    n: int
    paths: tuple[str, ...]

    def line(self, most: int = 3) -> str:
        """One line that says how many they are, why, and the names of the first."""
        names = [*map(shown, self.paths[:most]), *(["..."] if self.n > most else [])]
        return f"{self.reason}: {self.n:,} ({', '.join(names)})"


@dataclass(frozen=True)
class FieldRecord(Record):
    """`field.json`."""

    SCHEMA: ClassVar[int] = 3
    MADE_BY: ClassVar[str] = "make field"

    folder: str
    bundle: str
    """What the bundle says it was made from."""
    model_sha256: str
    event_s: float
    """Photos of one device with gaps of at most this are one event."""
    verdict: FieldVerdict
    verdict_line: str
    new_places_verdict: FieldVerdict | None
    """On the promise for new places; None if there is none, or a device took training photos."""
    promised: Promise
    figures: Figures
    advice: tuple[str, ...]
    """What to do next."""
    notes: tuple[str, ...]
    """What a reader must know of the photos."""
    left_out: tuple[LeftOut, ...]
    skipped: tuple[str, ...]
    """A line for each kind of file in the folder that is no photo."""
    photos: tuple[JudgedPhoto, ...]
    """Those that judge. They may train later; then newer ones judge."""


def days_of(photos: Iterable[JudgedPhoto]) -> list[str]:
    """The days on which photos were taken, in order; without those that no clock tells."""
    return sorted({photo.day for photo in photos} - {NO_DAY})
