"""How often a place is looked at while nothing is there."""

import math

import pytest

from device.contract.look.rules import Outcome, Seen
from device.inference.pace import CALM_S, CALM_SHARE, Rest

EMPTY, RESTLESS = Outcome(Seen.NOTHING), Outcome(Seen.NOTHING, (), 1)
SLOW = 5 * CALM_SHARE


def _rest(outcome: Outcome | None, seconds: float, resting: Rest, from_s: float = 0) -> float:
    """Show the same for a time, five times a second."""
    for number in range(round(5 * seconds)):
        fps = resting.most_fps(outcome, from_s + number / 5, 5.0)
    return fps


def test_a_place_where_nothing_has_changed_for_a_minute_is_looked_at_less_often() -> None:
    resting = Rest()
    assert _rest(EMPTY, CALM_S, resting) == 5.0
    assert _rest(EMPTY, 1, resting, CALM_S) == pytest.approx(SLOW)


@pytest.mark.parametrize(
    ("change", "fps"),
    [
        (RESTLESS, 5.0),
        (Outcome(Seen.SOMETHING, ((0, 0, 50, 50),), 40), math.inf),
        (Outcome(Seen.LIGHT, (), 900), math.inf),
        (Outcome(Seen.LEARNING), math.inf),
        (None, math.inf),
    ],
)
def test_any_change_ends_that_and_the_minute_begins_again(
    change: Outcome | None, fps: float
) -> None:
    resting = Rest()
    _rest(EMPTY, CALM_S + 1, resting)
    assert resting.most_fps(change, CALM_S + 2, 5.0) == fps
    assert _rest(EMPTY, CALM_S - 1, resting, CALM_S + 3) == 5.0
    assert _rest(EMPTY, 2, resting, 2 * CALM_S + 2) == pytest.approx(SLOW)


def test_rain_and_leaves_are_never_calm() -> None:
    resting = Rest()
    for minute in range(5):
        _rest(EMPTY, 50, resting, 60 * minute)
        assert _rest(RESTLESS, 1, resting, 60 * minute + 50) == 5.0
