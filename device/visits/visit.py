"""The record of one visit."""

import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from device.contract.arrays import Box

ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{6}")
"""The local day and time of its beginning, and six random digits: clocks may be set back."""


@dataclass(frozen=True)
class Visit:
    """Something came, stayed for a while, and may have left again."""

    id: str
    """As `ID`; made by `new_id`."""
    start_unix_s: float
    """Wall clock at its first frame; it may be wrong, as boards may have no clock."""
    end_unix_s: float | None
    """`start_unix_s` and the time to the last frame that showed it; None while it goes on."""
    label: str
    """What most evidence of its frames is for: a class, or `unknown`."""
    score: float
    """Probability of `label`, 0..1; of the best class while it is unknown."""
    top: tuple[tuple[str, float], ...]
    """The best classes with their probabilities, the highest first."""
    frames: int
    """How many frames have shown it."""
    box: Box
    """Where it was in its best frame, in pixels of the whole frame."""
    best_unix_s: float
    """When its best frame was captured."""
    picture: bytes | None = field(default=None, repr=False)
    """A small JPEG of what is in `box`."""
    why: str = ""
    """Why it is unknown, in words; empty if it is not."""

    @property
    def day(self) -> date:
        """The local day on which it began."""
        return day_of(self.id)

    def ended(self, last_unix_s: float) -> "Visit":
        """The same visit, which ended with its last frame."""
        return replace(self, end_unix_s=max(last_unix_s, self.start_unix_s))

    def record(self) -> dict[str, Any]:
        """As a JSON object, without its picture."""
        return {
            "visit": self.id,
            "start": round(self.start_unix_s, 3),
            "end": None if self.end_unix_s is None else round(self.end_unix_s, 3),
            "label": self.label,
            "score": round(self.score, 4),
            "why": self.why or None,
            "top": {name: round(score, 4) for name, score in self.top},
            "frames": self.frames,
            "box": list(self.box),
            "best": round(self.best_unix_s, 3),
        }


def new_id(unix_s: float, digits: str) -> str:
    """The id of a visit that began then; `digits` are six random hexadecimal digits."""
    return f"{time.strftime('%Y%m%d-%H%M%S', time.localtime(unix_s))}-{digits}"


def day_of(visit_id: str) -> date:
    """The local day in an id.

    Raises:
        ValueError: if it is no id.
    """
    if not ID.fullmatch(visit_id):
        raise ValueError("no id of a visit")
    return date.fromisoformat(visit_id[:8])


def from_record(record: Mapping[str, Any]) -> Visit:
    """The visit of a `Visit.record`, without its picture.

    Raises:
        ValueError: if it is not such a record.
    """
    try:
        end, box = record["end"], tuple(map(int, record["box"]))
        left, upper, right, lower = box
        found = Visit(
            id=str(record["visit"]),
            start_unix_s=float(record["start"]),
            end_unix_s=None if end is None else float(end),
            label=str(record["label"]),
            score=float(record["score"]),
            top=tuple((str(name), float(score)) for name, score in record["top"].items()),
            frames=int(record["frames"]),
            box=(left, upper, right, lower),
            best_unix_s=float(record["best"]),
            why=str(record["why"] or ""),
        )
        day_of(found.id)
        _check_numbers(found)
    except (KeyError, TypeError, AttributeError, OverflowError, ValueError) as error:
        raise ValueError("no record of a visit") from error
    return found


def _check_numbers(visit: Visit) -> None:
    """Raises ValueError: JSON has no such numbers, so that a browser could not read them."""
    times_s = (visit.start_unix_s, visit.end_unix_s or 0.0, visit.best_unix_s)
    shares = (visit.score, *(share for _, share in visit.top))
    if not all(map(math.isfinite, (*times_s, *shares))):
        raise ValueError("a number is missing")
