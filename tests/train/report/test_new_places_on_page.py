"""The report says what to expect of other events and at a new place, and how it is known."""

from dataclasses import replace

import pytest

from device.workstation.expected import AtPlaces, NewPlaces, SamePlaces
from device.workstation.training import Metrics
from tests.support.builds.training_records import metrics_of
from tests.support.html_page import FLOWERS, page_of

EXPECTED = NewPlaces(
    places=6,
    events=90,
    accuracy=0.664,
    interval=(0.551, 0.758),
    curve=(AtPlaces(1, 0.31), AtPlaces(2, 0.42), AtPlaces(5, 0.63)),
    twice=0.721,
    enough=None,
)


def with_places(expected: NewPlaces | None) -> Metrics:
    metrics = metrics_of([[28, 2, 0], [1, 25, 4], [0, 0, 30]], FLOWERS)
    return replace(metrics, new_places=expected)


def test_the_new_place_stands_beside_the_known_ones() -> None:
    said = page_of(with_places(EXPECTED)).fields["new_places"]
    assert "At the places you photographed: 92% (" in said
    assert "At a new place expect 66% (55% to 76%)." in said
    assert "each of the 6 places was left out" in said


@pytest.mark.parametrize(
    ("enough", "cure"),
    [
        (None, "With twice as many places expect 72% at a new one. Photograph every class"),
        (19, "72% at a new one; from about 19 places on it is hardly worse"),
        (6, "A new place is hardly worse than these."),
    ],
)
def test_the_cure_is_said(enough: int | None, cure: str) -> None:
    assert cure in page_of(with_places(replace(EXPECTED, enough=enough))).fields["new_places"]


def test_the_curve_is_shown_by_number_of_places() -> None:
    rows = page_of(with_places(EXPECTED)).table("places that teach")
    assert rows[1:] == [["1", "31%"], ["2", "42%"], ["5", "63%"]]


HELD_OUT = SamePlaces(events=90, accuracy=0.874, interval=(0.81, 0.92), without=())


def test_a_small_test_part_stands_beside_all_events_held_out_with_which_to_rely_on() -> None:
    metrics = metrics_of([[28, 2, 0], [1, 25, 4], [0, 0, 30]], FLOWERS, burst=9)
    assert metrics.data.events != metrics.data.counts
    few = page_of(replace(metrics, same_places=HELD_OUT)).fields["same_places"]
    assert few.startswith("Test part: 92.2% (")
    assert ", 10 events). Whole events held out in turn: 87% (81% to 92%, 90 events)." in few
    assert "Rely on the second figure: with only 10 test events, one mistake" in few
    assert "one occasion" not in few


def test_of_single_photos_no_event_is_spoken_of() -> None:
    metrics = with_places(None)
    single = replace(metrics.data, events=metrics.data.counts)
    said = page_of(replace(metrics, data=single, same_places=HELD_OUT)).fields["same_places"]
    assert ", 90 photos). Photos held out in turn: 87% (81% to 92%, 90 photos)." in said
    assert "event" not in said


def test_a_class_of_one_event_is_named_as_left_out_of_the_figure() -> None:
    metrics = replace(with_places(None), same_places=replace(HELD_OUT, without=("rose",)))
    assert "nothing of rose, which" in page_of(metrics).fields["same_places"]


def test_a_new_place_is_compared_with_the_figure_to_rely_on() -> None:
    metrics = replace(with_places(EXPECTED), same_places=HELD_OUT)
    assert "you photographed: 87% (81% to 92%)." in page_of(metrics).fields["new_places"]


def test_a_large_test_part_has_no_second_figure() -> None:
    assert "same_places" not in page_of(with_places(None)).fields


def test_without_three_places_nothing_is_said_of_new_ones() -> None:
    assert "new_places" not in page_of(with_places(None)).fields
    assert "new place" not in page_of(with_places(None)).text
