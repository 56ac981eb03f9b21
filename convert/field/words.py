"""The verdict of the field, and the sentences that say it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from convert.field.record import FieldVerdict, Figure, Promise
from device.contract.bundle import Bundle
from device.workstation.conversion import Interval, claims_of, threshold_of
from device.workstation.measures import NORMAL_95, wilson
from device.workstation.wording import number

LEAST_EVENTS = 8
"""With fewer, an interval by event is not reliable."""
DROP_TO_RULE_OUT = 0.15
"""Only if a drop of this much can be ruled out (one-sided 95%), it is said to be as promised."""
MOST_EVENTS = 1000
"""Nobody is asked for more."""
_ONE_SIDED_95 = 1.6448536269514722 / NORMAL_95


def promise_of(bundle: Bundle) -> Promise:
    """What a bundle promises; if its test part is small, by the events held out in turn.

    Raises:
        BundleError: if it was packed by another version.
    """
    claims, threshold = claims_of(bundle.manifest), threshold_of(bundle.manifest)
    expected = Promise(
        accuracy=claims.int8_accuracy,
        interval=claims.int8_accuracy_interval,
        n=claims.n,
        events=claims.events,
        held_out=False,
        unknown=1 - threshold.coverage,
        new_places_accuracy=claims.new_places_accuracy,
        new_places_interval=claims.new_places_interval,
    )
    accuracy, interval = claims.same_places_accuracy, claims.same_places_interval
    if accuracy is None or interval is None:
        return expected
    n, events = claims.same_places_n, claims.same_places_events
    return replace(
        expected, accuracy=accuracy, interval=interval, n=n, events=events, held_out=True
    )


def difference(
    seen: float, seen_interval: Interval, promised: float, promised_interval: Interval
) -> Interval:
    """95% interval of seen minus promised, from their own intervals (Newcombe 1998), -1..1."""
    down = math.hypot(seen - seen_interval[0], promised_interval[1] - promised)
    up = math.hypot(seen_interval[1] - seen, promised - promised_interval[0])
    return seen - promised - down, seen - promised + up


@dataclass(frozen=True)
class Judgement:
    """A verdict with the line that says it."""

    verdict: FieldVerdict
    new_places: FieldVerdict | None
    """The verdict on the promise for new places; None if that does not apply."""
    line: str


def judge(
    seen: Figure | None, promised: Promise, days: int, *, new_places: bool = False
) -> Judgement:
    """Compare what was seen with what was promised.

    Args:
        seen: accuracy on photos of known classes.
        promised: by the bundle.
        days: on which these photos were taken; 0 if no clock tells.
        new_places: whether the photos may be of places that training knows nothing of. Then what
            was promised for those is looked at, too.
    """
    verdict = verdict_of(seen, promised.accuracy, promised.interval)
    line = f"promised {_range(promised.interval)}%, {_seen(seen, days)}: {verdict}"
    accuracy, interval = promised.new_places_accuracy, promised.new_places_interval
    if not new_places or accuracy is None or interval is None:
        return Judgement(verdict, None, line)
    other = verdict_of(seen, accuracy, interval)
    return Judgement(verdict, other, f"{line} (for new places {_range(interval)}%: {other})")


def verdict_of(seen: Figure | None, promised: float, interval: Interval) -> FieldVerdict:
    """Whether what was seen is what was promised.

    Args:
        seen: accuracy on photos of known classes.
        promised: an accuracy, 0..1.
        interval: of the promise.
    """
    if seen is None or seen.events < LEAST_EVENTS:
        return FieldVerdict.NOT_ENOUGH
    low, high = difference(seen.value, seen.interval, promised, interval)
    if high < 0:
        return FieldVerdict.LOWER
    change = seen.value - promised
    ruled_out = change - (change - low) * _ONE_SIDED_95 > -DROP_TO_RULE_OUT
    return FieldVerdict.AS_PROMISED if ruled_out else FieldVerdict.NOT_ENOUGH


def events_needed(seen: Figure | None, accuracy: float, interval: Interval) -> int | None:
    """About how many events would tell if the promise is kept; None if no number would.

    Args:
        seen: so far; it says how much an event tells.
        accuracy: as promised, 0..1.
        interval: of the promise.
    """
    have = seen.events if seen else 0
    per_event = seen.effective_n / seen.events if seen else 1.0
    for events in range(max(have + 1, LEAST_EVENTS), MOST_EVENTS):
        n = events * per_event
        kept = Figure(events, events, n, accuracy, wilson(accuracy, n))
        if verdict_of(kept, accuracy, interval) is FieldVerdict.AS_PROMISED:
            return events
    return None


def _seen(seen: Figure | None, days: int) -> str:
    if seen is None:
        return "seen no photo of a known class"
    when = f" on {number(days, 'day')}" if days else ""
    return f"seen {with_interval(seen)} in {number(seen.events, 'event')}{when}"


def _range(interval: Sequence[float]) -> str:
    return f"{round(100 * interval[0])}-{round(100 * interval[1])}"


def percent(share: float) -> str:
    """A share in whole percent."""
    return f"{round(100 * share)}%"


def with_interval(figure: Figure) -> str:
    """A figure such as: 74% (65-81)."""
    return f"{percent(figure.value)} ({_range(figure.interval)})"
