"""How far a day is from a reference: by the population stability index of each statistic.

Of statistics that only more of is bad, the tail decides: a few strangers change a mean and an index
little, and the tail much.

All functions take any number of leading axes, so that a simulation runs a thousand cameras at once.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from device.drift.day import Counts
from device.drift.sample import BAD, BINS, OF_PICTURE, STATISTICS, Floats

LEAST_SHARE = 0.01
"""Added to the share of each bin: an empty bin would be infinitely far from a full one."""
BLURS = 2
"""How often shares are spread over neighbouring bins: the spread is one bin then."""
FEWEST = 20
"""With fewer moments than this a statistic says nothing about a day, or an hour about the view."""
FEWEST_ANSWERS = 8
"""The same for statistics of answers."""
STRANGE_SHARE, STRANGE_POWER = 0.2, 0.2
"""A share of strangers that should be seen, and where they are expected: with this power of the
share of usual moments that are at least as far out. So most are beyond nearly all of these."""
LEAST_USUAL = 0.002
"""Added to the share of each bin of the reference: where nothing was, something may come."""
ONLY_MORE = BAD[: len(STATISTICS)] > 0
DISTANCE, UNKNOWN = (
    next(i for i, each in enumerate(STATISTICS) if each.name == name)
    for name in ("distance", "unknown")
)
FEWEST_OF = np.array([FEWEST if picture else FEWEST_ANSWERS for picture in OF_PICTURE] + [FEWEST])


@dataclass(frozen=True)
class Distances:
    """How far a day is from its reference; arrays end with one entry for each of `NAMES`."""

    far: Floats
    """Square root of the index, or the excess of the tail; the root of one minus the correlation of
    the layouts for the view. NaN where there is too little to tell."""
    shift: Floats
    """By how many bins the mean has moved; 0 for the view."""


def distances(
    counts: Counts, layouts: Floats, reference: Counts, reference_layouts: Floats
) -> Distances:
    """Compare a day with a reference.

    Only the hours of the day that both have count, and each hour of the reference weighs as much as
    it does in the day: a day that was noted by night alone is compared with nights. Of answers the
    same holds for light. How much is unknown tells nothing where distances are known, which say it
    more finely: asking both would only be false more often.

    Args:
        counts: of the day, float32 (..., hours, statistics, bins).
        layouts: of the day, float32 (..., hours, cells).
        reference: its counts, likewise.
        reference_layouts: likewise.
    """
    in_day = counts.sum(axis=-1, keepdims=True)
    in_reference = reference.sum(axis=-1, keepdims=True)
    both = (in_day > 0) & (in_reference > 0)
    total = np.where(both, in_day, 0).sum(axis=-3)
    per_moment = np.divide(in_day, in_reference, out=np.zeros_like(in_day), where=both)
    least = np.maximum(total, 1)
    now = np.where(both, counts, 0).sum(axis=-3) / least
    usual = (reference * per_moment).sum(axis=-3) / least
    view, hours = _view(layouts, reference_layouts, in_day[..., 0, 0], in_reference[..., 0, 0])
    excess = _excess(now, usual, least[..., 0])
    far = np.where(ONLY_MORE, excess, np.sqrt(_index(now, usual)))
    far = np.concatenate([far, view[..., None]], axis=-1)
    shift = ((now - usual) * np.arange(BINS)).sum(axis=-1)
    shift = np.concatenate([shift, np.zeros_like(view)[..., None]], axis=-1)
    enough = np.concatenate([total[..., 0], hours[..., None] * FEWEST], axis=-1) >= FEWEST_OF
    far = np.where(enough, far, np.nan)
    far[..., UNKNOWN] = np.where(total[..., DISTANCE, 0] > 0, np.nan, far[..., UNKNOWN])
    return Distances(far.astype(np.float32), shift.astype(np.float32))


def _index(now: npt.NDArray[np.floating], usual: npt.NDArray[np.floating]) -> Floats:
    """The population stability index over the last axis."""
    p, q = _blurred(now) + LEAST_SHARE, _blurred(usual) + LEAST_SHARE
    total: Floats = ((p - q) * np.log(p / q)).sum(axis=-1) / (1 + BINS * LEAST_SHARE)
    return total


def _excess(
    now: npt.NDArray[np.floating], usual: npt.NDArray[np.floating], moments: Floats
) -> npt.NDArray[np.floating]:
    """By how much the upper tail has grown, in standard deviations of independent moments.

    A bin counts as the log of how much likelier it is with strangers than without, which is what
    finds them soonest (Page 1954); where they are expected, no stranger has to be known.
    """
    p = usual + LEAST_USUAL
    p = p / p.sum(axis=-1, keepdims=True)
    beyond = np.flip(np.flip(p, -1).cumsum(axis=-1), -1) - p / 2
    strange = p * beyond ** (STRANGE_POWER - 1)
    strange = strange / strange.sum(axis=-1, keepdims=True)
    weight = np.log(1 - STRANGE_SHARE + STRANGE_SHARE * strange / p)
    mean = (p * weight).sum(axis=-1, keepdims=True)
    spread = np.sqrt((p * (weight - mean) ** 2).sum(axis=-1))
    grown = ((now - usual) * weight).sum(axis=-1) * np.sqrt(moments)
    excess: npt.NDArray[np.floating] = grown / np.maximum(spread, LEAST_SHARE)
    return excess


def _blurred(shares: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """Shares spread over neighbouring bins.

    Where all values are alike, as by night, the smallest change would else be a large index.
    """
    for _ in range(BLURS):
        ends = np.concatenate([shares[..., :1], shares, shares[..., -1:]], axis=-1)
        shares = (ends[..., :-2] + 2 * ends[..., 1:-1] + ends[..., 2:]) / 4
    return shares


def _view(
    layouts: Floats, reference: Floats, in_day: Floats, in_reference: Floats
) -> tuple[Floats, Floats]:
    """How far the mean layouts are apart, 0 to 1.4, and in how many hours there are any."""
    one = (layouts**2).sum(axis=-1)
    other = (reference**2).sum(axis=-1)
    enough = (in_day >= FEWEST) & (in_reference >= FEWEST) & (one > 0) & (other > 0)
    product = (layouts * reference).sum(axis=-1)
    alike = np.divide(product, np.sqrt(one * other), out=np.zeros_like(product), where=enough)
    weight = np.where(enough, in_day, 0)
    apart = ((1 - alike) * weight).sum(axis=-1) / np.maximum(weight.sum(axis=-1), 1)
    view: Floats = np.sqrt(np.maximum(apart, 0))
    return view, enough.sum(axis=-1).astype(np.float32)


def is_worse(found: Distances) -> npt.NDArray[np.bool_]:
    """Which statistics moved to the side that is bad; both are where none is said to be."""
    worse: npt.NDArray[np.bool_] = found.shift * BAD >= 0
    return worse
