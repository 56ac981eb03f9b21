"""What is behind the visitors of a film.

A device learns its background before anybody comes. A film mostly begins because somebody came, and
often ends before the visitor has left. So several backgrounds are made, of all pictures and of
those that are like one of them, and the one is taken before which most pictures show somebody.
"""

from collections.abc import Sequence

from device.contract.look import change, place
from device.contract.look.cells import Cells
from device.contract.look.change import Background
from device.contract.look.place import Look
from device.contract.look.rules import LookRules, Seen
from train.data.films.evenly import evenly

LEAST_LESSONS = 8
"""A background is learned from at least so many pictures."""
LIKE = 16
"""So many pictures are tried as what the others may be like ..."""
LEAST_LIKE = 3
"""... and at least so many must be like it."""
ASKED = 48
"""Backgrounds are compared before at most so many pictures."""
LEAST_SAME = 0.6
"""If a smaller share of pairs of pictures shows the same edges, the camera moves. In rendered films
they were all of them before a camera that stood still, two in three where a visitor filled most of
the picture, and at most half in a hand that moved by six pixels of 320 in a second."""
HOLES = 5
"""A visitor that the background shows costs as much as so many who stand before it gain."""


def behind(lessons: Sequence[Cells], rules: LookRules) -> Background | None:
    """The background of a camera that stood still; None if it did not, or of too few pictures.

    Args:
        lessons: the pictures' cells, all of one shape.
        rules: of looking.
    """
    if len(lessons) < LEAST_LESSONS or not _is_steady(lessons, rules):
        return None
    made = [place.of_pictures(lessons, visited=True)]
    for lesson in evenly(lessons, LIKE):
        alike = _like(lesson, lessons, rules)
        if len(alike) >= LEAST_LIKE:
            made.append(place.of_pictures(alike, visited=False))
    asked = evenly(lessons, ASKED)
    return max(made, key=lambda background: _score(asked, background, rules))


def _is_steady(lessons: Sequence[Cells], rules: LookRules) -> bool:
    """Whether most pictures have the edges of most others, whatever the light."""
    ones, others = evenly(lessons, LIKE), evenly(lessons, ASKED)
    same = sum(change.shows_the_same(other, one, rules) for one in ones for other in others)
    return same >= LEAST_SAME * len(ones) * len(others)


def _like(one: Cells, lessons: Sequence[Cells], rules: LookRules) -> list[Cells]:
    """The pictures that show the same as one of them."""
    alone = place.of_pictures([one], visited=False)
    return [each for each in lessons if place.look(each, alone, rules).seen is Seen.NOTHING]


def _score(lessons: Sequence[Cells], background: Background, rules: LookRules) -> int:
    """How many pictures show somebody before a background, less those that show a hole in it."""
    score = 0
    for lesson in lessons:
        found = place.look(lesson, background, rules)
        holes = sum(is_hole(lesson, found, subject.mask) for subject in found.subjects)
        score += bool(found.subjects) if not holes else -HOLES
    return score


def is_hole(picture: Cells, found: Look, mask: change.Mask) -> bool:
    """Whether what differs is a place that a visitor of the background has left.

    Then its edges are the background's. In rendered films they were 1.1 to 4 times as strong there
    as in the picture, and mostly 0.1 to 1.0 times where somebody was there.
    """
    now, usual = (change.step_across(p, mask) for p in (picture, found.expected))
    return 10 * usual > 11 * now
