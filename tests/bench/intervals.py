"""`make bench-intervals`: how often 95% intervals of a share hold the truth, with photos in events.

Answers are drawn whose true share and correlation within events are known, in two ways: the chance
of being right differs from event to event (beta-binomial), or an event is at random all alike or
like single photos. Each cell of the table is the mean over true shares and both ways, with the
lowest of them.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import t as student

from device.workstation.measures import NORMAL_95, wilson
from device.workstation.shares import share_by_event

Counts = npt.NDArray[np.int64]
Rng = np.random.Generator
Interval = tuple[float, float]
Method = Callable[[Counts, Counts], Interval]
"""From photos and hits of each event (events,) to an interval."""

CORRELATIONS = (0.0, 0.1, 0.3, 0.5, 0.7, 1.0)
SHARES = (0.6, 0.75, 0.85, 0.92, 0.97)
EVENTS = (8, 20, 60, 300)
EQUAL, UNEVEN = "8 each", "1 to 60"
RESAMPLES = 200


@dataclass(frozen=True)
class Case:
    """What is drawn."""

    events: int
    sizes: str
    correlation: float
    share: float
    alike: bool
    """Whether an event is all alike or like single photos, instead of beta-binomial."""


def by_event(photos: Counts, hits: Counts) -> Interval:
    """What Fieldguide reports."""
    right = np.concatenate([np.arange(n) < k for n, k in zip(photos, hits, strict=True)])
    return share_by_event(right, np.repeat(np.arange(len(photos)), photos)).interval


def by_photo(photos: Counts, hits: Counts) -> Interval:
    """Wilson's interval, as if there were no events."""
    return wilson(hits.sum() / photos.sum(), photos.sum())


def anova(photos: Counts, hits: Counts) -> Interval:
    """Wilson's with the design effect of the correlation by analysis of variance (Ridout 1999)."""
    n, events = photos.sum(), len(photos)
    means, mean = hits / photos, hits.sum() / n
    between = photos @ (means - mean) ** 2 / (events - 1)
    within = photos @ (means * (1 - means)) / max(n - events, 1)
    typical = (n - photos @ photos / n) / (events - 1)
    total = between + (typical - 1) * within
    correlation = np.clip((between - within) / total, 0, 1) if total > 0 else 1.0
    return wilson(mean, n / (1 + (photos @ photos / n - 1) * correlation))


def robust(photos: Counts, hits: Counts) -> Interval:
    """Wilson's with the cluster-robust design effect and a t quantile (Korn and Graubard 1998)."""
    n, events, mean = photos.sum(), len(photos), hits.sum() / photos.sum()
    variance = events / (events - 1) * ((hits - photos * mean) ** 2).sum() / n**2
    single = mean * (1 - mean) / n
    effect = max(variance / single, 1) if single > 0 else photos @ photos / n
    return wilson(mean, n / effect * (NORMAL_95 / student.ppf(0.975, events - 1)) ** 2)


def bootstrap(photos: Counts, hits: Counts) -> Interval:
    """The middle 95% of the shares in resampled events."""
    drawn = np.random.default_rng(0).integers(0, len(photos), (RESAMPLES, len(photos)))
    low, high = np.quantile(hits[drawn].sum(axis=1) / photos[drawn].sum(axis=1), [0.025, 0.975])
    return float(low), float(high)


METHODS: dict[str, Method] = {
    "by event, as reported": by_event,
    "by photo (Wilson)": by_photo,
    "ANOVA design effect": anova,
    "cluster-robust, t": robust,
    "bootstrap over events": bootstrap,
}


def draw(case: Case, rng: Rng) -> tuple[Counts, Counts]:
    """Photos and hits of each event, int64 (events,)."""
    uneven = np.exp(rng.uniform(0, np.log(61), case.events)).astype(np.int64)
    photos = uneven if case.sizes == UNEVEN else np.full(case.events, 8)
    together = photos * (rng.random(case.events) < case.share)
    if case.correlation in (0, 1):
        return photos, together if case.correlation else rng.binomial(photos, case.share)
    if case.alike:
        apart = rng.binomial(photos, case.share)
        return photos, np.where(rng.random(case.events) < case.correlation, together, apart)
    spread = 1 / case.correlation - 1
    chances = rng.beta(case.share * spread, (1 - case.share) * spread, case.events)
    return photos, rng.binomial(photos, chances)


def coverage(method: Method, case: Case, draws: int) -> float:
    """The share of intervals that hold the true share, 0..1."""
    seed = [case.events, len(case.sizes), *(int(100 * x) for x in (case.correlation, case.share))]
    rng, held = np.random.default_rng([*seed, case.alike]), 0
    for _ in range(draws):
        low, high = method(*draw(case, rng))
        held += low <= case.share <= high
    return held / draws


def row(name: str, events: int, sizes: str, draws: int) -> str:
    """A line of the table."""
    cells = []
    for correlation in CORRELATIONS:
        held = [
            coverage(METHODS[name], Case(events, sizes, correlation, share, alike), draws)
            for share in SHARES
            for alike in ((False, True) if 0 < correlation < 1 else (False,))
        ]
        cells.append(f"{100 * np.mean(held):.1f} ({100 * min(held):.0f})")
    return f"| {name} | {events} | {sizes} | {' | '.join(cells)} |"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=200, help="runs of each case")
    options = parser.parse_args(arguments)
    shown = " | ".join(f"{correlation:g}" for correlation in CORRELATIONS)
    print(f"| interval | events | photos of each | {shown} |\n|---|---|---|{'---|' * 6}")
    for name in METHODS:
        for events in EVENTS:
            for sizes in (EQUAL, UNEVEN):
                print(row(name, events, sizes, options.draws), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
