"""Backgrounds that one camera had before: by day and by night, or before it was nudged."""

from collections.abc import Sequence

from device.contract.look import place, shift
from device.contract.look.cells import Cells
from device.contract.look.change import Background, Mask
from device.contract.look.place import Look
from device.contract.look.rules import LookRules, Seen

MOST = 3
"""So many are kept, the latest first."""
UPSET = (Seen.LIGHT, Seen.MOVED)
"""What is seen where the background does not fit."""


class Known:
    """What a camera has learned before, so that it need not learn it again."""

    def __init__(self, rules: LookRules, backgrounds: Sequence[Background] = ()) -> None:
        """Begin with the backgrounds of another run, the latest first."""
        self._rules = rules
        self.backgrounds = tuple(backgrounds)[:MOST]

    def add(self, background: Background) -> None:
        """Keep a background that no longer fits; the oldest goes."""
        self.backgrounds = (background, *self.backgrounds)[:MOST]

    def fitting(self, picture: Cells, allowed: Mask | None) -> tuple[Background, Look] | None:
        """Take out the background that fits a picture, with what the picture shows before it."""
        for background in self.backgrounds:
            found = place.look(picture, background, self._rules, allowed)
            if found.seen not in UPSET:
                self.backgrounds = tuple(b for b in self.backgrounds if b is not background)
                return background, found
        return None

    def nudged(
        self, picture: Cells, background: Background, allowed: Mask | None
    ) -> tuple[Background, Look] | None:
        """The background as a nudge of the camera leaves it, if that fits the picture."""
        moved = shift.nudged(picture, background)
        if moved is None:
            return None
        found = place.look(picture, moved, self._rules, allowed)
        return None if found.seen in UPSET else (moved, found)
