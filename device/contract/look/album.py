"""Where something is in photos of one camera that were kept, as the camera would have seen it.

Photos are kept because something is in them. So the background of a photo is what photos of other
events show in common: those of its own event may have the same visitor at the same spot.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby

from device.contract.look import box, place
from device.contract.look.cameras import LEAST_PICTURES, MOST_OF_BACKGROUND
from device.contract.look.cells import Cells, Grid
from device.contract.look.change import Background
from device.contract.look.place import Look
from device.contract.look.rules import LookRules, Outcome

MOST_OF_EVENT = 3
"""So many photos of an event are in a background. With eight in all these are at least three
events: with two, the visitor of one of them would stay in it."""
PARTS = 8
"""Photos of so many parts of the events share a background: making it is slow."""


def outcomes(
    pictures: Sequence[Cells], events: Sequence[int], grid: Grid, rules: LookRules
) -> list[Outcome | None]:
    """Look at each of a camera's photos before the background that other events show.

    Args:
        pictures: of one camera, in the order of time; see `cameras.of_one_camera`.
        events: (n,), the same number for photos of one event, which stand together.
        grid: that the pictures are of.
        rules: of looking.

    Returns:
        What each shows; None where there are too few photos of other events.
    """
    found: list[Outcome | None] = [None] * len(pictures)
    for part in _parts(events):
        others = _others(events, part)
        if others:
            background = place.of_pictures([pictures[i] for i in others], visited=True)
            for i in part:
                found[i] = _outcome(pictures[i], background, grid, rules)
    return found


def _outcome(picture: Cells, background: Background, grid: Grid, rules: LookRules) -> Outcome:
    found: Look = place.look(picture, background, rules)
    subjects = found.subjects[: rules.most_boxes]
    return Outcome(found.seen, tuple(box.square(subject, grid, rules) for subject in subjects))


def _parts(events: Sequence[int]) -> Iterator[range]:
    """Neighbouring photos of whole events, about `PARTS` times."""
    start = end = 0
    for _, members in groupby(events):
        end += len(list(members))
        if end - start >= max(1, len(events) // PARTS):
            yield range(start, end)
            start = end
    if start < end:
        yield range(start, end)


def _others(events: Sequence[int], part: range) -> list[int]:
    """Photos around a part, the nearest first and one of each event before a second one.

    Empty if they are too few.
    """
    turns = _turns(events)
    left = [i for i in range(len(events)) if i not in part and turns[i] < MOST_OF_EVENT]
    if len(left) < LEAST_PICTURES - 1:
        return []
    return sorted(left, key=lambda i: (turns[i], _distance(i, part)))[:MOST_OF_BACKGROUND]


def _distance(i: int, part: range) -> int:
    return max(part.start - i, i - part.stop + 1)


def _turns(events: Sequence[int]) -> list[int]:
    """For each photo, how many before it are of its event."""
    return [turn for _, members in groupby(events) for turn, _ in enumerate(members)]
