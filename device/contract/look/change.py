"""What differs between a small picture and a background, with the light divided out."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from device.contract.look.cells import FULL, Cells
from device.contract.look.rules import LookRules

Plane = npt.NDArray[np.int16]
"""One number for each cell, (rows, columns)."""
Mask = npt.NDArray[np.bool_]
"""(rows, columns)."""
Gains = npt.NDArray[np.int32]
"""(3, 1, 1): how much brighter each colour is than the background's, in 256ths."""

ONE = 256
"""A gain of 1."""
MOST_GAIN = 16
DARK = 2
"""Added to both sides of a ratio, so that black cells say little."""
SPARSE = 3
"""Every third row and column is enough to tell the light."""
SMOOTHED = 9
"""A smoothed difference is the sum over this many cells."""
REGIONS = (6, 8)
"""Rows and columns of regions whose light is told apart."""
AROUND = 2
"""How many regions to each side decide what the light of a region is."""
OVEREXPOSED = FULL * 31 // 32
NO_RATIO = np.int32(1 << 30)
STRONG_EDGE = 24


@dataclass(frozen=True)
class Background:
    """What a place looks like when nothing is there."""

    cells: Cells
    spread: Plane
    """How much a cell differs from it at most, as a rule: smoothed, 0 to 9 * 1530."""


def gains(picture: Cells, background: Cells) -> Gains:
    """How bright a picture is beside a background over most of it: sun, clouds, exposure."""
    some = picture[:, ::SPARSE, ::SPARSE].reshape(3, -1).astype(np.int32) + DARK
    usual = background[:, ::SPARSE, ::SPARSE].reshape(3, -1).astype(np.int32) + DARK
    # Rounded, not cut off: the background is moved towards what these gains leave over.
    ratios = (some * ONE + usual // 2) // usual
    middle = ratios.shape[1] // 2
    ratios.partition(middle, axis=1)
    limited: Gains = ratios[:, middle].clip(ONE // MOST_GAIN, ONE * MOST_GAIN)
    return limited.reshape(3, 1, 1)


def local_gains(picture: Cells, expected: Cells) -> npt.NDArray[np.int32]:
    """How bright each cell's surroundings are beside what is expected: shadows, lamps.

    The median ratio of each of some regions, then the median of each region and those around it, so
    that a subject of up to half the picture's height does not count as light.

    Returns:
        (rows, columns), in 256ths; 256 everywhere if there are fewer cells than regions.
    """
    if any(side < count for side, count in zip(picture.shape[1:], REGIONS, strict=True)):
        return np.full(picture.shape[1:], ONE, np.int32)
    padded = np.pad(_of_regions(picture, expected), AROUND, mode="reflect", reflect_type="odd")
    side = 2 * AROUND + 1
    around = np.lib.stride_tricks.sliding_window_view(padded, (side, side))
    in_order = np.sort(around.reshape(*REGIONS, side * side), axis=-1)
    even = in_order[..., side * side // 2].clip(ONE // MOST_GAIN, ONE * MOST_GAIN)
    rows, columns = (
        _between(n, count) for n, count in zip(picture.shape[1:], REGIONS, strict=True)
    )
    made = ((rows @ even >> 6) @ columns.T) >> 6
    # Beyond the outermost middles the slope goes on, and may reach 0 or less.
    limited: npt.NDArray[np.int32] = made.clip(ONE // MOST_GAIN, ONE * MOST_GAIN)
    return limited


def _of_regions(picture: Cells, expected: Cells) -> npt.NDArray[np.int32]:
    """The median ratio of each region, of cells that are not overexposed; `REGIONS`."""
    (rows, columns), (high, wide) = picture.shape[1:], REGIONS
    now, usual = (p.sum(axis=0, dtype=np.int32) + 3 * DARK for p in (picture, expected))
    ratios = (now * ONE + usual // 2) // usual
    exposed = (picture < OVEREXPOSED).all(axis=0)
    ratios[~exposed] = NO_RATIO
    parts = ratios[: rows // high * high, : columns // wide * wide]
    parts = parts.reshape(high, rows // high, wide, columns // wide).transpose(0, 2, 1, 3)
    in_order = np.sort(parts.reshape(high, wide, -1)[..., ::SPARSE], axis=-1)
    count = np.count_nonzero(in_order < NO_RATIO, axis=-1)
    middle = np.take_along_axis(in_order, count[..., None] // 2, axis=-1)[..., 0]
    known = 8 * count >= in_order.shape[-1]
    # Nearly all of a region overexposed: it is at least as bright as any other.
    brightest = middle[known].max() if known.any() else ONE
    return np.where(known, middle, brightest).astype(np.int32)


@lru_cache(maxsize=8)
def _between(cells: int, regions: int) -> npt.NDArray[np.int32]:
    """Weights (cells, regions) in 64ths that lead from region's middle to region's middle."""
    weights = np.zeros((cells, regions), np.int32)
    for cell in range(cells):
        # Where the cell's middle lies between middles of regions, in 64ths of a region.
        at = ((2 * cell + 1) * regions - cells) * 32 // cells
        first = min(max(0, at // 64), regions - 2)
        weights[cell, first : first + 2] = 64 * (first + 1) - at, at - 64 * first
    return weights


def lit(background: Cells, of_light: Gains) -> Cells:
    """The background under another light: (3, 1, 1) from `gains`, or of each cell."""
    return _as_cells((background * of_light + ONE // 2) >> 8)


def unlit(picture: Cells, of_light: Gains) -> Cells:
    """A picture under the background's light."""
    return _as_cells((picture.astype(np.int32) * ONE + of_light // 2) // of_light)


def _as_cells(values: npt.NDArray[np.int32]) -> Cells:
    return np.asarray(np.minimum(values, FULL), np.int16)


def difference(picture: Cells, expected: Cells) -> Plane:
    """How much cells differ: the three colours in sum, 0 to 1530."""
    apart = np.abs(picture - expected)
    return np.asarray(apart[0] + apart[1] + apart[2], np.int16)


def smoothed(values: Plane) -> Plane:
    """The sum of each value and its eight neighbours; at most 9 * 1530. Edges are repeated."""
    return _with_neighbours(_with_neighbours(values).T).T


def _with_neighbours(values: Plane) -> Plane:
    """Each row in sum with those above and below."""
    made = values.copy()
    made[1:] += values[:-1]
    made[:-1] += values[1:]
    made[0] += values[0]
    made[-1] += values[-1]
    return made


def thresholds(spread: Plane, brightest: int, rules: LookRules) -> Plane:
    """The smoothed difference from which on a cell has changed.

    Args:
        spread: how much each cell usually differs.
        brightest: the largest gain, in 256ths: noise grows with it.
        rules: of looking.
    """
    usual = spread.astype(np.int32) * rules.spreads
    least = np.maximum(usual, rules.least_difference * SMOOTHED)
    limited = np.minimum(least * max(ONE, brightest) >> 8, np.iinfo(np.int16).max)
    return np.asarray(limited, np.int16)


def regions_changed(changed: Mask, rules: LookRules) -> int:
    """In how many ninths of the picture many cells have changed."""
    return sum(
        100 * int(np.count_nonzero(part)) > rules.region_percent * part.size
        for band in np.array_split(changed, 3)
        for part in np.array_split(band, 3, axis=1)
    )


def shows_the_same(picture: Cells, background: Cells, rules: LookRules) -> bool:
    """Whether edges of the background are still edges and rise the same way, whatever the light."""
    now, usual = (p.sum(axis=0, dtype=np.int32) for p in (picture, background))
    same = strong = 0
    for axis in (0, 1):
        rise, usual_rise = np.diff(now, axis=axis), np.diff(usual, axis=axis)
        edges = np.abs(usual_rise) >= STRONG_EDGE
        strong += int(np.count_nonzero(edges))
        same += int(np.count_nonzero(edges & (rise * usual_rise > 0)))
    return 100 * same >= rules.same_edges_percent * strong


def grown(mask: Mask) -> Mask:
    """A mask with the neighbours of its cells, also at corners."""
    larger = mask.copy()
    larger[1:] |= mask[:-1]
    larger[:-1] |= mask[1:]
    across = larger.copy()
    larger[:, 1:] |= across[:, :-1]
    larger[:, :-1] |= across[:, 1:]
    return larger


def step_across(picture: Cells, mask: Mask) -> int:
    """How large the steps between two cells are of which one lies in a mask and one outside.

    The two are three cells apart: a smoothed change reaches a cell too far, and edges are soft.
    """
    values, total = picture.sum(axis=0, dtype=np.int32), 0
    for one, other in ((np.s_[:-3], np.s_[3:]), (np.s_[:, :-3], np.s_[:, 3:])):
        crossing = mask[one] != mask[other]
        total += int(np.abs(values[one] - values[other])[crossing].sum(dtype=np.int64))
    return total
