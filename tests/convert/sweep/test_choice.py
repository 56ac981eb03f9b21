"""Promises of the advice: which network to take for which board, and why."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from convert.sweep.boards import BOARDS, MOST_MS, REFERENCE_INSTRUCTIONS, estimate, obstacle
from convert.sweep.choice import Choice, choose, reason, sentence
from convert.sweep.compare import Entry
from tests.convert.sweep.trials import EVENTS, counted, entry, judged

ZERO, PI4, PI5, CORAL = BOARDS


def taken(entries: Sequence[Entry]) -> dict[str, str]:
    return {choice.board.name: choice.taken.name for choice in choose(entries, EVENTS)}


def choice_for(name: str, entries: Sequence[Entry]) -> Choice:
    return next(choice for choice in choose(entries, EVENTS) if choice.board.name == name)


def test_what_the_photos_cannot_tell_apart_is_told_apart_by_its_work() -> None:
    entries = [entry("large@224", 381, 300), entry("small@160", 380, 150)]
    assert set(taken(entries).values()) == {"small@160"}


def test_a_network_that_is_clearly_less_accurate_is_not_taken_for_its_price() -> None:
    entries = [entry("large@224", 385, 300), entry("small@160", 370, 150)]
    assert set(taken(entries).values()) == {"large@224"}


def test_of_the_same_work_and_size_the_more_accurate_one_is_taken() -> None:
    entries = [entry("a@224", 380, 300), entry("b@224", 381, 300)]
    assert set(taken(entries).values()) == {"b@224"}


def test_the_test_part_chooses_nothing() -> None:
    entries = [entry("large@224", 385, 300), entry("small@160", 370, 150)]
    wonder = replace(entries[1].figures, test=judged(400))
    before = taken(entries)
    assert taken([entries[0], replace(entries[1], figures=wonder)]) == before


def test_a_board_that_is_too_slow_takes_a_smaller_network_and_says_why() -> None:
    entries = [entry("large@256", 395, 1000), entry("small@160", 370, 150)]
    assert taken(entries) == {
        "Pi Zero 2 W": "small@160",
        "Pi 4": "large@256",
        "Pi 5": "large@256",
        "Coral": "large@256",
    }
    why = reason(choice_for("Pi Zero 2 W", entries))
    assert "92.5% of validation photos, the most accurate network here that it can run" in why
    assert "large@256 has 98.8%, but it would take about 140 ms, more than 100 ms" in why


def test_a_coral_takes_no_network_that_its_chip_would_not_run_alone() -> None:
    on_cpu = entry("odd@224", 395, 300, edge_tpu_failures=("1 HARD_SWISH",))
    too_large = entry("wide@224", 395, 300, mb=9)
    small = entry("small@224", 370, 300)
    assert taken([on_cpu, small])["Coral"] == taken([too_large, small])["Coral"] == "small@224"
    assert taken([on_cpu, small])["Pi 4"] == "odd@224"
    assert "8 MB on the chip" in obstacle(CORAL, too_large)


def test_a_board_that_can_run_none_is_left_out() -> None:
    entries = [entry("huge@512", 395, 5000)]
    assert set(taken(entries)) == {"Pi 5", "Coral"}
    assert "fast enough for any" in sentence(choose([entry("huge@512", 395, 50_000)], EVENTS))


def test_times_are_in_proportion_to_instructions_if_they_were_counted() -> None:
    plain = entry("a@224", 380, 299.8)
    assert estimate(PI4, plain).by == "MACs"
    assert estimate(PI4, plain).ms == pytest.approx(17.0)
    million = REFERENCE_INSTRUCTIONS["cortex-a72"] / 1e6
    assert estimate(PI4, counted(plain, 2 * million)).by == "instructions"
    assert estimate(PI4, counted(plain, 2 * million)).ms == pytest.approx(34.0)
    # An Edge TPU has no such processor.
    assert estimate(CORAL, counted(plain, 2 * million)).by == "MACs"


def test_the_slowest_board_is_asked_for_the_least() -> None:
    assert ZERO.reference_ms > PI4.reference_ms > PI5.reference_ms
    assert all(board.reference_ms < MOST_MS for board in BOARDS)


def test_one_sentence_names_every_board_once() -> None:
    entries = [entry("large@256", 395, 1000), entry("small@160", 370, 150)]
    said = sentence(choose(entries, EVENTS))
    assert said.startswith(
        "Take small@160 for the Pi Zero 2 W and large@256 for the Pi 4, the Pi 5 and the Coral: "
    )
    assert said.count(".") == 1 and said.endswith("the least work.")


def test_a_network_that_is_behind_by_less_than_the_error_says_by_how_much() -> None:
    why = reason(choice_for("Pi 4", [entry("l@224", 381, 300), entry("s@160", 380, 150)]))
    assert "95.0% of validation photos, 0.2 points behind l@224" in why
    assert "within the standard error of that difference (0.4), for 50% of the work." in why
