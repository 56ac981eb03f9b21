"""The verdict: lower than promised, as promised, or not enough events to tell."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convert.field.record import FieldVerdict
from convert.field.words import difference, events_needed, judge, promise_of, verdict_of
from device.contract.bundle import load
from device.workstation.measures import wilson
from tests.convert.field.fieldwork import PROMISE, promise, seen

LOWER, KEPT, OPEN = FieldVerdict.LOWER, FieldVerdict.AS_PROMISED, FieldVerdict.NOT_ENOUGH


@pytest.mark.parametrize(
    ("share", "events", "verdict"),
    [
        (0.74, 96, LOWER),
        (0.40, 20, LOWER),
        (0.87, 96, KEPT),
        (0.85, 45, KEPT),
        (1.0, 30, KEPT),
        (0.80, 10, OPEN),
        (0.87, 20, OPEN),
        (0.0, 7, OPEN),
    ],
)
def test_the_verdict_is_said_by_the_figures(
    share: float, events: int, verdict: FieldVerdict
) -> None:
    assert judge(seen(share, events), PROMISE, 9).verdict is verdict


def test_a_small_test_part_promises_what_was_held_out_in_turn(tiny_bundle: Path) -> None:
    loaded = load(tiny_bundle)
    claims = loaded.manifest["verification"] | {"same_places_accuracy": None}
    known: dict[str, Any] = {
        "same_places_accuracy": 0.87,
        "same_places_interval": [0.81, 0.92],
        "same_places_n": 720,
        "same_places_events": 90,
    }
    plain, surer = (
        promise_of(replace(loaded, manifest={**loaded.manifest, "verification": each}))
        for each in (claims, claims | known)
    )
    assert (plain.accuracy, plain.n, plain.held_out) == (
        claims["int8_accuracy"],
        claims["n"],
        False,
    )
    assert (surer.accuracy, surer.interval) == (0.87, (0.81, 0.92))
    assert (surer.n, surer.events, surer.held_out) == (720, 90, True)


def test_the_line_says_promise_and_figure_and_how_much_is_behind_it() -> None:
    line = judge(seen(0.74, 100), PROMISE, 9).line
    assert line == "promised 81-92%, seen 74% (65-82) in 100 events on 9 days: lower than promised"
    assert "in 1 event on 1 day: not enough events to tell" in judge(seen(1, 1), PROMISE, 1).line
    nothing = judge(None, PROMISE, 2)
    assert nothing.verdict is OPEN and "seen no photo of a known class" in nothing.line


def test_at_places_that_training_did_not_know_both_promises_are_looked_at() -> None:
    both = promise(new_places_accuracy=0.66, new_places_interval=(0.55, 0.76))
    new, same = (judge(seen(0.7, 96), both, 9, new_places=there) for there in (True, False))
    assert (new.verdict, new.new_places) == (LOWER, KEPT)
    assert new.line.endswith("lower than promised (for new places 55-76%: as promised)")
    assert (same.verdict, same.new_places) == (LOWER, None)
    assert new.line.startswith(same.line)
    assert judge(seen(0.7, 96), PROMISE, 9, new_places=True).new_places is None


def test_both_intervals_count_in_the_difference() -> None:
    low, high = difference(0.74, (0.65, 0.81), 0.87, (0.81, 0.92))
    assert low == pytest.approx(-0.13 - (0.09**2 + 0.05**2) ** 0.5)
    assert high == pytest.approx(-0.13 + (0.07**2 + 0.06**2) ** 0.5)


@pytest.mark.parametrize("accuracy", [0.6, 0.87, 0.94, 0.99])
def test_as_many_events_as_are_asked_for_do_tell(accuracy: float) -> None:
    interval = wilson(accuracy, 400)
    needed = events_needed(None, accuracy, interval)
    assert needed is not None
    assert verdict_of(seen(accuracy, needed), accuracy, interval) is KEPT
    assert verdict_of(seen(accuracy, needed - 1), accuracy, interval) is OPEN


def test_photos_that_tell_less_take_more_events_and_a_vague_promise_is_never_told() -> None:
    bursts = seen(0.87, 20)
    weighed = type(bursts)(60, 20, 10.0, 0.87, wilson(0.87, 10))
    few, many = (events_needed(it, 0.87, (0.81, 0.92)) for it in (bursts, weighed))
    assert few is not None and many is not None and many == pytest.approx(2 * few, abs=2)
    assert events_needed(bursts, 0.8, (0.3, 0.99)) is None


@pytest.mark.parametrize("events", [20, 40, 100])
@pytest.mark.parametrize("promised", [0.87, 0.94])
def test_a_kept_promise_is_rarely_called_lower_and_a_large_drop_rarely_kept(
    promised: float, events: int
) -> None:
    rng, verdicts = np.random.default_rng(0), {0.0: Counter[str](), 0.15: Counter[str]()}
    for drop, counts in verdicts.items():
        for said, field in rng.binomial((150, events), (promised, promised - drop), (1000, 2)):
            found = verdict_of(seen(field / events, events), said / 150, wilson(said / 150, 150))
            counts[found] += 1
    assert verdicts[0.0][LOWER] <= 60
    assert verdicts[0.15][KEPT] <= 80
