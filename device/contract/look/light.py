"""What light does to a picture: sun, clouds, exposure, shadows, lamps.

Light multiplies. What it does to a whole picture is one gain for each colour; what it does to parts
of it changes little from one region to the next, unlike a subject, whose border is sharp.
"""

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from device.contract.look.cells import FULL, Cells

Gains = npt.NDArray[np.int32]
"""How much brighter than the background, in 256ths: (3, 1, 1) by colour, or (rows, columns)."""
Regions = npt.NDArray[np.int32]
"""One number for each region, `REGIONS`."""
Places = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]
"""(rows, columns), or (3, rows, columns) by colour."""

ONE = 256
"""A gain of 1."""
MOST_GAIN = 16
DARK = 2
"""Added to both sides of a ratio, so that black cells say little."""
SPARSE = 3
"""Every third row and column is enough to tell the light of a whole picture."""
OVEREXPOSED = FULL * 31 // 32
NO_RATIO = np.int32(1 << 30)

REGIONS = (12, 16)
"""Rows and columns of regions whose light is told apart."""
SAMPLED = ((REGIONS[0], 3), (REGIONS[1], 4))
"""So many rows and columns of a region's cells are enough to tell its light."""
SIDE = 5
"""At first so many pairs of regions, down and across, decide about the light of a pair."""
ROUNDS = 3
NEAR = 4
"""A region is lit as its surroundings are if it differs from them by at most a quarter."""
WEIGHTS = (6, 4, 1)
"""Of a region itself, of the next and of the next but one."""


def gains(picture: Cells, background: Cells) -> Gains:
    """How bright a picture is beside a background over most of it: sun, clouds, exposure."""
    some = picture[:, ::SPARSE, ::SPARSE].reshape(3, -1).astype(np.int32) + DARK
    usual = background[:, ::SPARSE, ::SPARSE].reshape(3, -1).astype(np.int32) + DARK
    # Rounded, not cut off: the background is moved towards what these gains leave over.
    ratios = (some * ONE + usual // 2) // usual
    middle = ratios.shape[1] // 2
    ratios.partition(middle, axis=1)
    return _limited(ratios[:, middle]).reshape(3, 1, 1)


def local_gains(picture: Cells, expected: Cells, over: Mask) -> Gains:
    """How bright each cell's surroundings are beside what is expected: shadows, lamps.

    The median ratio of each region counts if it is near to that of its surroundings, which begin
    wide, so that a subject of up to half the picture's height does not count as light, and grow
    closer where they agree. A region that does not count has the light of those around it.

    Args:
        picture: what is seen.
        expected: the background under the light of the whole picture.
        over: which colours of which cells were overexposed when the background was learned.

    Returns:
        (rows, columns), in 256ths; 256 everywhere if there are fewer cells than regions.
    """
    shape = picture.shape[1:]
    if any(side < count for side, count in zip(shape, REGIONS, strict=True)):
        return np.full(shape, ONE, np.int32)
    own, known = _of_regions(picture, expected, over)
    even = _wide(own)
    for _ in range(ROUNDS):
        even = _from_near(own, known & (np.abs(own - even) * NEAR <= even), even)
    # Beyond the outermost middles the slope goes on, and may reach 0 or less.
    return _limited(_spread_out(_limited(even), shape))


def lit(background: Cells, of_light: Gains) -> Cells:
    """The background under another light: (3, 1, 1) from `gains`, or of each cell."""
    values = background.astype(np.int32)
    values *= of_light
    values += ONE // 2
    values >>= 8
    return _as_cells(values)


def unlit(picture: Cells, of_light: Gains) -> Cells:
    """A picture under the background's light."""
    return _as_cells((picture.astype(np.int32) * ONE + of_light // 2) // of_light)


def _as_cells(values: Gains) -> Cells:
    return np.asarray(np.minimum(values, FULL), np.int16)


def _limited(values: Gains) -> Gains:
    return np.asarray(values.clip(ONE // MOST_GAIN, ONE * MOST_GAIN))


def _of_regions(picture: Cells, expected: Cells, over: Mask) -> tuple[Regions, Mask]:
    """The median ratio of each region, and whether enough of its cells tell it.

    Overexposed colours do not; nearly all of a region overexposed, it is at least as bright as any.
    """
    rows, columns = (_samples(n, *of) for n, of in zip(picture.shape[1:], SAMPLED, strict=True))
    some, usual, unknown = (p.take(rows, 1).take(columns, 2) for p in (picture, expected, over))
    exposed = (some < OVEREXPOSED) & ~unknown
    now, before = (_all_colours(p * exposed) + 3 * DARK for p in (some, usual))
    ratios = (now * ONE + before // 2) // before
    ratios[~(exposed[0] | exposed[1] | exposed[2])] = NO_RATIO
    (high, down), (wide, across) = SAMPLED
    parts = ratios.reshape(high, down, wide, across).transpose(0, 2, 1, 3)
    in_order = np.sort(parts.reshape(high, wide, down * across), axis=-1)
    count = np.count_nonzero(in_order < NO_RATIO, axis=-1)
    middle = in_order[np.arange(high)[:, None], np.arange(wide), count // 2 % (down * across)]
    known = 4 * count >= down * across
    brightest = middle[known].max() if known.any() else ONE
    return np.where(known, middle, brightest).astype(np.int32), known


def _all_colours(values: npt.NDArray[Any]) -> Regions:
    return np.asarray(values[0] + values[1] + values[2], np.int32)


def _wide(own: Regions) -> Regions:
    """The median of 5x5 pairs of 2x2 regions; at the rim, of the outermost 5x5."""
    rows, columns = REGIONS[0] // 2, REGIONS[1] // 2
    pairs = own.reshape(rows, 2, columns, 2).transpose(0, 2, 1, 3).reshape(rows, columns, 4)
    middle = np.sort(pairs, axis=-1)[..., 1:3].sum(axis=-1, dtype=np.int32) >> 1
    in_order = np.sort(middle.reshape(-1)[_around(rows, columns)], axis=-1)
    return _spread_out(_limited(in_order[..., SIDE * SIDE // 2]), REGIONS)


def _from_near(own: Regions, near: Mask, even: Regions) -> Regions:
    """The weighted mean of the regions around that are near; where there is none, as before."""
    down, across = (_nearness(count) for count in REGIONS)
    weights = down @ near.astype(np.int32) @ across
    sums = down @ (own * near) @ across
    return np.where(weights > 0, (sums + weights // 2) // np.maximum(weights, 1), even)


def _spread_out(values: Regions, shape: tuple[int, ...]) -> Gains:
    """Values of regions as they are between the regions' middles, in a finer grid."""
    (rows, down), (columns, across) = map(_between, shape, values.shape)
    upper, lower = values.take(rows, 0), values.take(rows + 1, 0)
    bands = (upper * (64 - down)[:, None] + lower * down[:, None]) >> 6
    left, right = bands.take(columns, 1), bands.take(columns + 1, 1)
    made: Gains = (left * (64 - across) + right * across) >> 6
    return made


@lru_cache(maxsize=8)
def _between(cells: int, regions: int) -> tuple[Places, Regions]:
    """For each cell the region before it, and in 64ths how near it is to the one after."""
    # Where the cell's middle lies between middles of regions, in 64ths of a region.
    at = ((2 * np.arange(cells) + 1) * regions - cells) * 32 // cells
    first = (at // 64).clip(0, regions - 2)
    return first, (at - 64 * first).astype(np.int32)


@lru_cache(maxsize=8)
def _samples(cells: int, regions: int, each: int) -> Places:
    """Which cells stand for regions, as many for each."""
    return (2 * np.arange(regions * each) + 1) * cells // (2 * regions * each)


@lru_cache(maxsize=8)
def _around(rows: int, columns: int) -> Places:
    """Which pairs are around each: (rows, columns, 25)."""
    place = np.arange(rows * columns).reshape(rows, columns)
    windows = np.lib.stride_tricks.sliding_window_view(place, (SIDE, SIDE))
    down, across = (np.arange(n).clip(SIDE // 2, n - 1 - SIDE // 2) for n in (rows, columns))
    inner = windows[(down - SIDE // 2)[:, None], across - SIDE // 2]
    return np.ascontiguousarray(inner.reshape(rows, columns, SIDE * SIDE))


@lru_cache(maxsize=8)
def _nearness(count: int) -> Regions:
    """Weights (count, count) of regions for one another."""
    apart = np.abs(np.arange(count)[:, None] - np.arange(count))
    weights: Regions = np.array([*WEIGHTS, 0], np.int32)[np.minimum(apart, len(WEIGHTS))]
    return weights
