"""Whether a place is like the training photos at all: the bundle's own reference.

A camera's usual days say nothing about its first day. But the bundle says how strange known photos
are: at most one validation photo in twenty is beyond `LIMIT`, whatever its label, so no mix of
classes has to be assumed.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from device.contract.statistics import LIMIT
from device.drift.sample import Sample

PROMISED = 0.05
MOST_SHARE = 0.25
"""So many may be in the field, where light and weather are others; set by simulation
(`tests.bench.drift`)."""
FEWEST = 50
"""With fewer answers nothing is said."""
DESIGN_EFFECT = 3.0
"""Answers of one visit resemble one another: so many tell as much as one."""
ERRORS = 2.0
LEAST_LIGHT, LEAST_CAST = 40.0, 0.005
"""In the dark, and without colour as by infrared light, known things look strange, too."""
KEPT_A_DAY = 6 / 7
"""Evidence is that of about the last seven days."""


@dataclass(frozen=True)
class Place:
    """Answers in good light, and how many were strange; older days count less."""

    answers: float = 0.0
    beyond: float = 0.0
    alarm: bool = False
    since: str = ""
    """As `FamilyStatus.since`."""
    accepted: bool = False
    """Somebody has said that it is to be so: then there is no alarm until another bundle comes."""

    @property
    def share(self) -> float:
        """Of answers that were strange, 0 to 1."""
        return self.beyond / max(self.answers, 1.0)

    @property
    def level(self) -> float:
        """Above 1 there is an alarm."""
        share, answers = self.share, max(self.answers, 1.0)
        error = math.sqrt(DESIGN_EFFECT * share * (1 - share) / answers)
        return 0.0 if answers < FEWEST else max(0.0, share - ERRORS * error) / MOST_SHARE

    @property
    def why(self) -> str:
        """In words."""
        return f"{self.share:.0%} is unlike the training photos, where {PROMISED:.0%} may be"


def is_clear(brightness: npt.ArrayLike, cast: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Whether pictures are bright and colourful enough to be compared with training photos."""
    clear = (np.asarray(brightness) >= LEAST_LIGHT) & (np.abs(cast) >= LEAST_CAST)
    return np.asarray(clear)


def noted(place: Place, sample: Sample, date: str) -> Place:
    """What is known after one more moment.

    Args:
        place: before it.
        sample: of the moment.
        date: in UTC; empty while the clock is not set.
    """
    answer, picture = sample.answer, sample.picture
    if answer is None or answer.distance is None or not is_clear(picture.brightness, picture.cast):
        return place
    return settled(place, 1.0, float(answer.distance > LIMIT), date)


def settled(place: Place, answers: float, beyond: float, date: str) -> Place:
    """What is known after so many more answers, of which some were beyond the limit."""
    now = replace(place, answers=place.answers + answers, beyond=place.beyond + beyond)
    # Once raised it stands until the share itself is low enough: no alarm flickers.
    alarm = not now.accepted and (now.share > MOST_SHARE if place.alarm else now.level > 1)
    since = place.since if place.alarm else date
    return replace(now, alarm=alarm, since=since if alarm else "")


def after_day(place: Place) -> Place:
    """What counts on the next day."""
    return replace(place, answers=place.answers * KEPT_A_DAY, beyond=place.beyond * KEPT_A_DAY)


def accepted(place: Place) -> Place:
    """What is known once somebody has said that this is how it looks."""
    return replace(place, alarm=False, since="", accepted=place.accepted or place.alarm)
