"""What leads back from a release: on trial, and for a day after it was confirmed.

A release is judged by what the service tells of itself (`device.telemetry.updates.Health`),
compared with the release before. A camera that is off, or a garden in which nothing happens, is no
release's fault: then the clock of the trial stands still.
"""

import math

from device.telemetry.updates import Health
from device.update.state import BACK, INSTALLING, TRIAL, WATCH, Progress

WATCH_S = 86400.0
"""How long a release is watched after it was confirmed."""
LABELS_S = 86400.0
"""With frames for so long and no three labels, a release on trial goes back."""
TAKEN_S = 3600.0
"""The service must run a new release after this long; otherwise it refuses it."""
MOST_CRASHES = 3
FEWEST_ANSWERS = 20
"""Of each release, before their unknowns are compared."""
MORE_UNKNOWN = 3.0
LEAST_UNKNOWN = 0.05
"""A bundle is made for so many unknowns: a rate below it counts as this one."""
NOTHING_ELSE_S = 0.9 * WATCH_S
"""So long that a night is not all of it, in which whole pictures may be unknown."""
HOT_S, HOT_SHARE, COOL_SHARE = 3600.0, 0.5, 0.1
NORMAL_95 = 1.96
_WORDS = (
    (
        "the service has given labels by it for ten minutes; it goes back if the service crashes "
        "or refuses it, or after a day of pictures without",
        "crashes, heat or far more unknown lead back",
    ),
    (
        "service and updater have run it for ten minutes with pictures; it goes back if it does "
        "not start or stay up, or if within an hour pictures stay away or its updater stands",
        "crashes, heat or a board that does not stay up lead back",
    ),
)
"""Of the model's releases, and of the software's: what ends a trial, and what leads back later."""


def trial_fault(progress: Progress, now: Health, runs: bool) -> str:
    """Why a release on trial must go; empty if it need not.

    Args:
        progress: with the release before.
        now: the service.
        runs: whether it runs the release.
    """
    if fault := _crashed(progress.before, now) or (_hot(progress.before, now) if runs else ""):
        return fault
    if not runs and progress.served_s > TAKEN_S:
        return f"the service does not take it: {now.problem or 'it says nothing'}"
    if runs and progress.served_s > LABELS_S:
        return "no labels within a day of pictures"
    return ""


def note(progress: Progress, *, software: bool = False) -> str:
    """What is being done about a release, and what ends it; empty if nothing is.

    Args:
        progress: with its `uptime` as of now.
        software: whether it is the software's own.
    """
    now_s = progress.uptime.total_s - progress.began_s
    trial, fails = _WORDS[software]
    told = {
        INSTALLING: "being installed",
        TRIAL: f"on trial, for {_long(now_s)} of uptime so far, until {trial}",
        WATCH: f"confirmed, and watched for another {_hours(WATCH_S - now_s)} of uptime: {fails}",
        BACK: "going back",
    }.get(progress.stage)
    return f"release {progress.release} is {told}" if told else ""


def _hours(seconds: float) -> str:
    return f"{math.ceil(max(0.0, seconds) / 3600)} h"


def _long(seconds: float) -> str:
    """In minutes of the first hour only: each change is written to the card."""
    return f"{seconds // 60:.0f} min" if seconds < 3600 else f"{seconds // 3600:.0f} h"


def watch_fault(progress: Progress, now: Health) -> str:
    """Why a confirmed release must go; empty if it need not."""
    before = progress.before
    return crash_or_heat(before, now) or _unknown(before, now) or _nothing_but_unknown(before, now)


def crash_or_heat(before: Health, now: Health) -> str:
    """What may be the software's fault as well; empty if nothing is."""
    return _crashed(before, now) or _hot(before, now)


def _crashed(before: Health, now: Health) -> str:
    """More than before, if it crashed before, too."""
    crashes, served_s = now.crashes - before.crashes, now.served_s - before.served_s
    usual = before.crashes * served_s / before.served_s if before.served_s > 0 else 0.0
    if crashes >= MOST_CRASHES and crashes > MOST_CRASHES * usual:
        return f"the service crashed {crashes} times"
    return ""


def _hot(before: Health, now: Health) -> str:
    enough = now.running_s >= HOT_S
    was_cool = before.slowed_s < COOL_SHARE * max(before.running_s, 1.0)
    if enough and was_cool and now.slowed_s > HOT_SHARE * now.running_s:
        share = now.slowed_s / now.running_s
        return f"the board was slowed by heat or power {share:.0%} of the time"
    return ""


def _unknown(before: Health, now: Health) -> str:
    if min(before.answers, now.answers) < FEWEST_ANSWERS:
        return ""
    usual = max(before.unknown / before.answers, LEAST_UNKNOWN)
    if _at_least(now.unknown, now.answers) > MORE_UNKNOWN * usual:
        share = now.unknown / now.answers
        return f"unknown {share:.0%} of answers, {before.unknown / before.answers:.0%} before"
    return ""


def _nothing_but_unknown(before: Health, now: Health) -> str:
    """An answer counts when it is another one, so a release that has only this one gives few."""
    if not now.unknown or now.unknown < now.answers or now.running_s < NOTHING_ELSE_S:
        return ""
    expected = before.answers * now.running_s / max(before.running_s, 1.0)
    usual = before.unknown / max(before.answers, 1)
    if expected >= FEWEST_ANSWERS and MORE_UNKNOWN * usual < 1.0:
        return f"nothing but unknown in {now.running_s / 3600:.0f} hours, {usual:.0%} before"
    return ""


def _at_least(count: int, n: int) -> float:
    """The lower end of Wilson's 95% interval of a share."""
    share, square = count / n, NORMAL_95**2
    middle = share + square / (2 * n)
    half = NORMAL_95 * math.sqrt(share * (1 - share) / n + square / (4 * n * n))
    return (middle - half) / (1 + square / n)
