"""Promises of a sweep's page and of its table."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from convert.sweep.choice import choose
from convert.sweep.compare import Entry
from convert.sweep.page import Compared, render
from convert.sweep.table import table
from convert.sweep.trial import Sweep
from device.workstation.conversion import Verdict
from tests.convert.sweep.trials import EVENTS, counted, entry, trial
from tests.support.html_page import HOSTILE, Page

REASON = f"the int8 model may not ship: {HOSTILE}"
OUT = Path("build/sweep")
GOOD = [
    entry("efficientnet-lite0@224", 390, 385, mb=3.8),
    entry("mobilenet-v2@224", 380, 300),
    entry("efficientnet-lite0@192", 379, 301, mb=3.8),
    entry("mobilenet-v2@160", 366, 150),
]
FAILED = trial(entry("mobilenet-v2@256", 2, 1), REASON)


def compared(entries: Sequence[Entry]) -> Compared:
    trials = [*map(trial, entries), FAILED]
    sweep = Sweep(tuple(one.name for one in trials), HOSTILE, "2026-11-26, a machine")
    return Compared(sweep, trials, entries, choose(entries, EVENTS))


@pytest.fixture(scope="module")
def html() -> str:
    return render(compared(GOOD), OUT)


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def test_the_page_says_first_what_to_take(page: Page) -> None:
    assert page.fields["sentence"].startswith("Take efficientnet-lite0@224 for the Pi Zero 2 W")
    assert "make DATA=... USE=efficientnet-lite0@224" in " ".join(page.texts)


def test_every_trial_has_a_row_the_most_accurate_first_and_the_failed_last(page: Page) -> None:
    names = [row[0] for row in page.tables[0][2:]]
    assert [name.split("Pi")[0] for name in names] == [
        "efficientnet-lite0@224",
        "mobilenet-v2@224",
        "efficientnet-lite0@192",
        "mobilenet-v2@160",
        "mobilenet-v2@256",
    ]
    assert page.tables[0][-1][1] == f"failed: {REASON}"


def test_a_row_has_what_was_measured(page: Page) -> None:
    row = page.tables[0][3]
    assert row[1:] == ["95.0%", "94.5% (91.8 to 96.3)", "2.70", "300", "6.0", "63", ""]


def test_dominated_rows_are_grey_and_say_by_what(page: Page) -> None:
    assert page.tables[0][4][-1] == "mobilenet-v2@224"
    grey = [attributes for tag, attributes in page.tags if attributes.get("class") == "dominated"]
    assert len(grey) == 2  # in both tables


def test_what_was_not_counted_says_so_and_how_to_count_it(page: Page) -> None:
    assert page.tables[1][2][1:4] == ["not counted"] * 3
    assert "make sweep-arm" in page.texts
    other = Page(render(compared(GOOD), Path("/tmp/other/sweep")))
    assert "make sweep-arm BUILD=/tmp/other" in other.texts


def test_counted_instructions_are_shown_and_drawn_and_change_the_estimates(page: Page) -> None:
    html = render(compared([counted(one, 264.1) for one in GOOD]), OUT)
    whole = Page(html)
    assert whole.tables[1][2][1:5] == ["264.1", "264.1", "264.1", "84"]
    assert page.tables[1][2][4] == "54"
    assert "make sweep-arm" not in html
    assert html.count("<svg") == 7 and render(compared(GOOD), OUT).count("<svg") == 4


def test_few_photos_are_said_to_be_few() -> None:
    few = replace(GOOD[0], figures=replace(GOOD[0].figures, verdict=Verdict.NOT_ENOUGH))
    said = "400 photos in the validation part are too few to choose by"
    assert said in render(compared([few]), OUT)
    assert said not in render(compared([GOOD[0]]), OUT)


def test_the_same_records_give_the_same_page(html: str) -> None:
    assert render(compared(GOOD), OUT) == html


def test_a_name_of_photos_or_an_error_cannot_write_into_the_page(page: Page) -> None:
    assert not any(tag == "script" for tag, _ in page.tags)
    assert HOSTILE in page.texts


def test_a_sweep_that_failed_whole_still_has_its_page() -> None:
    page = Page(render(compared([]), OUT))
    assert "No network of this sweep" in page.fields["sentence"]
    assert page.tables[0][-1][1] == f"failed: {REASON}"


def test_memory_that_is_not_known_has_no_plot() -> None:
    cost = replace(GOOD[0].figures.cost, memory_mib=None)
    first = replace(GOOD[0], figures=replace(GOOD[0].figures, cost=cost))
    html = render(compared([first, *GOOD[1:]]), OUT)
    assert "not known" in html and "Memory of a process" not in html


def test_the_terminal_shows_the_same_rows() -> None:
    lines = table(compared(GOOD)).splitlines()
    assert lines[1].split()[:5] == ["efficientnet-lite0@224", "97.5%", "97.0%", "(94.8", "to"]
    assert lines[3].startswith("(efficientnet-lite0@192)")
    assert lines[-1] == f"mobilenet-v2@256: failed: {REASON}"
