"""The report says how many events stand behind a figure, and what it does not hold for."""

from dataclasses import replace
from typing import Any

import pytest

from device.workstation.training import Metrics
from tests.support.builds.training_records import metrics_of
from tests.support.html_page import FLOWERS, load, page_of, render

CONFUSION = [[28, 2, 0], [1, 25, 4], [0, 0, 30]]


def with_data(metrics: Metrics, **changes: Any) -> Metrics:
    return replace(metrics, data=replace(metrics.data, **changes))


@pytest.fixture
def bursts() -> Metrics:
    """Test and validation parts of 90 photos in 9 events."""
    return metrics_of(CONFUSION, FLOWERS, burst=10)


@pytest.fixture
def single() -> Metrics:
    """Every photo is an event of its own."""
    metrics = metrics_of(CONFUSION, FLOWERS)
    counts = metrics.data.counts
    none = {label: dict.fromkeys(parts, 0) for label, parts in counts.items()}
    return with_data(metrics, events=counts, places=none)


def test_events_stand_beside_every_number_of_photos(bursts: Metrics) -> None:
    page = page_of(bursts)
    assert page.fields["test.n"] == page.fields["validation.n"] == "90 photos in 9 events"
    assert "an event counts once" in page.fields["figures"]
    classes = page.table("class", number=3)
    assert classes[0] == ["class", "precision", "recall", "F1", "n", "events"]
    assert [row[-2:] for row in classes[1:]] == [["30", "3"]] * 3


def test_single_photos_are_not_called_events(single: Metrics) -> None:
    page = page_of(single)
    assert page.fields["test.n"] == page.fields["validation.n"] == "90"
    assert "counts once" not in page.fields["figures"]
    assert page.table("class", number=1)[0][-1] == "n"
    assert "every photo is an event of its own" in page.text


def test_events_and_places_are_counted_by_class_and_part(bursts: Metrics) -> None:
    page = page_of(bursts)
    events, places = (page.table("class", number=number) for number in (1, 2))
    assert events[:2] == [["class", "train", "validation", "test"], ["daisy", "1,390", "30", "29"]]
    assert places[:2] == [["class", "train", "validation", "test"], ["daisy", "3", "2", "2"]]
    assert [row[0] for row in events[1:]] == [row[0] for row in places[1:]] == list(FLOWERS)


def test_unknown_places_are_said_with_the_way_to_give_them(bursts: Metrics) -> None:
    none = {label: {"train": 0, "val": 0, "test": 0} for label in FLOWERS}
    unknown = page_of(with_data(bursts, places=none))
    assert "PLACE=folder" in unknown.text and "EVENTS=file.csv" in unknown.text
    assert unknown.table("class", number=2)[0][1] == "precision"
    assert "PLACE=folder" not in page_of(bursts).text


def test_what_was_no_evidence_of_an_event_is_told_with_its_reason(bursts: Metrics) -> None:
    assert "event_notes" not in page_of(bursts).fields
    notes = tuple(f"the clock of camera {i} stood still: 7 photos" for i in range(23))
    said = page_of(with_data(bursts, event_notes=notes)).fields["event_notes"]
    assert notes[19] in said and notes[20] not in said
    assert "and 3 more lines" in said


def test_the_first_line_says_for_which_occasions_the_figures_of_a_class_hold(
    bursts: Metrics,
) -> None:
    assert "occasion_only" not in page_of(bursts).fields
    metrics = with_data(bursts, occasion_only={"daisy": 2, "tulip": 1})
    said = page_of(metrics).fields["occasion_only"]
    assert "figures of daisy hold for one occasion only" in said
    assert "at least 2 more occasions" in said
    assert "figures of tulip hold for two occasions only" in said
    assert "at least 1 more occasion." in said
    assert "events of daisy, tulip are too few for that" in page_of(metrics).text
    html = render(metrics, load)
    assert html.index("</h1>") < html.index("one occasion only") < html.index("Made from")
