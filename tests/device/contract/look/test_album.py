"""Kept photos of a camera are cut around their visitors, whose own event is no background."""

import numpy as np
import pytest

from device.contract.arrays import Pixels
from device.contract.look import album
from device.contract.look.cells import Grid
from device.contract.look.rules import LookRules, Outcome, Seen
from tests.bench.look.judge import overlap, squared
from tests.support import visited_places
from tests.support.visited_places import RADIUS_PX, SIZE_PX, Frame

RULES = LookRules()
GRID = Grid.of(*SIZE_PX, RULES)


def looked(frames: list[Pixels], events: list[int]) -> list[Outcome | None]:
    return album.outcomes([GRID.cells(frame) for frame in frames], events, GRID, RULES)


def covers(outcome: Outcome | None, shown: Frame) -> bool:
    """Whether the box is about what a square around the visitor would be."""
    rows, columns = np.nonzero(shown.disc)
    box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    true = squared((int(box[0]), int(box[1]), int(box[2]), int(box[3])), SIZE_PX, RULES)
    return outcome is not None and bool(outcome.boxes) and overlap(outcome.boxes[0], true) > 0.6


@pytest.mark.parametrize("count", [9, 16, 50])
def test_a_visitor_in_every_photo_is_found_in_every_photo(count: int) -> None:
    shown = [visited_places.frame(4, number) for number in range(count)]
    found = looked([frame.pixels for frame in shown], [*range(count)])
    assert all(covers(*both) for both in zip(found, shown, strict=True))


def test_a_visitor_that_rests_through_its_event_is_no_background() -> None:
    """Eleven photos of twenty show the same spot occupied, all of one event."""
    rests = visited_places.frame(4, 0)
    shown = [rests] * 11 + [visited_places.frame(4, 10 + number) for number in range(9)]
    found = looked([frame.pixels for frame in shown], [0] * 11 + [*range(1, 10)])
    assert all(covers(*both) for both in zip(found, shown, strict=True))


def test_a_photo_without_a_visitor_shows_nothing() -> None:
    shown = [visited_places.frame(4, number, visited=number != 7) for number in range(20)]
    found = looked([frame.pixels for frame in shown], [*range(20)])
    assert found[7] == Outcome(Seen.NOTHING)


@pytest.mark.parametrize(
    "events", [[*range(8)], [0] * 30, [0] * 10 + [1] * 10 + [2] * 10, [0] * 9 + [*range(1, 6)], []]
)
def test_too_few_photos_of_other_events_make_no_background(events: list[int]) -> None:
    frames = [visited_places.frame(4, number).pixels for number in range(len(events))]
    assert looked(frames, events) == [None] * len(events)


def test_visitors_are_small_beside_the_frame() -> None:
    """What the other tests rest on."""
    assert SIZE_PX[1] >= RADIUS_PX * 2 * 3
