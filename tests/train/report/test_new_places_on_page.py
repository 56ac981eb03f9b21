"""The report says what to expect at a new place, how it is known, and what helps."""

from dataclasses import replace

import pytest

from device.workstation.training import AtPlaces, Metrics, NewPlaces
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


def test_without_three_places_nothing_is_said_of_new_ones() -> None:
    assert "new_places" not in page_of(with_places(None)).fields
    assert "new place" not in page_of(with_places(None)).text
