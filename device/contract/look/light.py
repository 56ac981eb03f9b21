"""What light does to a picture: sun, clouds, exposure, shadows, lamps.

Light multiplies. What it does to a whole picture is one gain for each colour; what it does to parts
of it changes little from one region to the next, unlike a subject, whose border is sharp.
"""

from functools import lru_cache
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from device.contract.look.cells import FULL, Cells

Gains = npt.NDArray[np.int16]
"""How much brighter than the background, in 256ths: (3, 1, 1) by colour, or (rows, columns)."""
Regions = npt.NDArray[np.int32]
"""One number for each region, `REGIONS`."""
Ratios = npt.NDArray[np.uint32]
"""Numbers to divide: without signs that is faster."""
Number = TypeVar("Number", np.int16, np.int32, np.uint32)
Places = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]
"""(rows, columns), or (3, rows, columns) by colour."""

ONE = 256
"""A gain of 1."""
MOST_GAIN = 16
SLIGHT = 63
"""A cell times a gain that differs from 1 by no more than this fits into 16 bits."""
DARK = 2
"""Added to both sides of a ratio, so that black cells say little."""
SPARSE = 3
"""Every third row and column is enough to tell the light of a whole picture."""
OVEREXPOSED = FULL * 31 // 32
NO_RATIO = 1 << 30

REGIONS = (12, 16)
"""Rows and columns of regions whose light is told apart."""
SAMPLED = ((REGIONS[0], 3), (REGIONS[1], 4))
"""So many rows and columns of a region's cells are enough to tell its light."""
LEAST_TELLING = 4
"""One in so many of these must tell it."""
SIDE = 5
"""At first so many pairs of regions, down and across, decide about the light of a pair."""
ROUNDS = 3
NEAR = 4
"""A region is lit as its surroundings are if it differs from them by at most a quarter."""
EXACT_BITS = 5
"""The light of regions is known to one part in so many bits; learned from what it misses, a place
would take on a lamp that stays on."""
UNEVEN = ONE // 8
"""Where light differs from that of the whole picture by more, it is that of regions."""
REACH = 2
"""Regions up to so far away have a part in the light of one: those of a row with the weights 1, 4,
6, 4, 1, which are what two neighbours added to one another give, 2 * REACH times."""


def gains(picture: Cells, background: Cells) -> Gains:
    """How bright a picture is beside a background over most of it: sun, clouds, exposure."""
    sparse = np.s_[:, ::SPARSE, ::SPARSE]
    # Rounded, not cut off: the background is moved towards what these gains leave over.
    ratios = _ratios(picture[sparse], background[sparse], DARK).reshape(3, -1)
    middle = ratios.shape[1] // 2
    ratios.partition(middle, axis=1)
    return _limited(ratios[:, middle]).astype(np.int16).reshape(3, 1, 1)


def _ratios(some: Cells, usual: Cells, dark: int) -> Ratios:
    """How often the usual is contained, rounded, in 256ths; `dark` is added to both."""
    both = np.empty((2, *some.shape), np.uint32)
    both[0], both[1] = some, usual
    both += dark
    ratios: Ratios = both[0] * ONE
    ratios += both[1] >> 1
    ratios //= both[1]
    return ratios


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
    if shape[0] < REGIONS[0] or shape[1] < REGIONS[1]:
        return np.full(shape, ONE, np.int16)
    own, known = _of_regions(picture, expected, over)
    even, before = _wide(own), b""
    for _ in range(ROUNDS):
        near = known & (np.abs(own - even) * NEAR <= even)
        if (now := near.tobytes()) == before:
            # The same regions would give the same light again.
            break
        even, before = _from_near(own, near, even), now
    return _limited(_spread_out(_limited(even), shape))


def lit(background: Cells, of_light: Gains) -> Cells:
    """The background under another light: (3, 1, 1) from `gains`, or of each cell."""
    more = of_light - ONE
    if int(np.abs(more).max()) > SLIGHT:
        return _strongly_lit(background, of_light)
    made = background * more
    made += ONE // 2
    made >>= 8
    made += background
    return made if int(made.max()) <= FULL else made.clip(0, FULL)


def _strongly_lit(background: Cells, of_light: Gains) -> Cells:
    values = np.multiply(background, of_light, dtype=np.int32)
    values += ONE // 2
    values >>= 8
    return _as_cells(values)


def unlit(picture: Cells, of_light: Gains) -> Cells:
    """A picture under the background's light."""
    return _as_cells((picture.astype(np.int32) * ONE + of_light // 2) // of_light)


def _as_cells(values: Regions) -> Cells:
    return values.clip(0, FULL).astype(np.int16)


def _limited(values: npt.NDArray[Number]) -> npt.NDArray[Number]:
    return values.clip(ONE // MOST_GAIN, ONE * MOST_GAIN)


def _of_regions(picture: Cells, expected: Cells, over: Mask) -> tuple[Regions, Mask]:
    """The median ratio of each region, and whether enough of its cells tell it.

    Overexposed colours do not; nearly all of a region overexposed, it is at least as bright as any.
    """
    rows, places = _samples(*picture.shape[1:])
    some, usual, unknown = (p.take(rows, 1) for p in (picture, expected, over))
    exposed = (some < OVEREXPOSED) > unknown
    some *= (telling := exposed.astype(np.int16))
    usual *= telling
    ratios = _ratios(_all_colours(some), _all_colours(usual), 3 * DARK)
    ratios[~(exposed[0] | exposed[1] | exposed[2])] = NO_RATIO
    in_order = ratios.take(places)
    in_order.sort(axis=-1)
    middle, known = _middles(in_order)
    return middle.astype(np.int32).reshape(REGIONS), known.reshape(REGIONS)


def _all_colours(values: Cells) -> Cells:
    total: Cells = values[0] + values[1]
    total += values[2]
    return total


def _middles(in_order: Ratios) -> tuple[Ratios, Mask]:
    """The median of each row's ratios, and whether it has enough; else, the largest median."""
    in_region = in_order.shape[1]
    middle, known = in_order[:, in_region // 2].copy(), np.ones(len(in_order), bool)
    if int(in_order[:, -1].max()) == NO_RATIO:
        count = np.count_nonzero(in_order < NO_RATIO, axis=1)
        middle = in_order[np.arange(len(count)), count // 2]
        known = LEAST_TELLING * count >= in_region
        middle[~known] = middle[known].max() if known.any() else ONE
    return middle, known


def _wide(own: Regions) -> Regions:
    """The median of 5x5 pairs of 2x2 regions; at the rim, of the outermost 5x5."""
    rows, columns = REGIONS[0] // 2, REGIONS[1] // 2
    pairs = own.reshape(rows, 2, columns, 2).transpose(0, 2, 1, 3).reshape(rows * columns, 4)
    pairs.sort(axis=-1)
    middle = (pairs[:, 1] + pairs[:, 2]) >> 1
    windows, nearest = _windows(rows, columns)
    in_order = middle[windows]
    in_order.sort(axis=-1)
    medians = in_order[:, SIDE * SIDE // 2]
    return _spread_out(_limited(medians[nearest]), REGIONS).astype(np.int32)


def _from_near(own: Regions, near: Mask, even: Regions) -> Regions:
    """The weighted mean of the regions around that are near; where there is none, as before."""
    rows, columns = REGIONS
    high, wide = rows + 2 * REACH, columns + 2 * REACH
    # Sums and weights, each with a border, and what is lost at the end.
    flat = np.zeros(2 * high * wide + 2 * REACH * (wide + 1), np.int32)
    bordered = flat[: 2 * high * wide].reshape(2, high, wide)
    inner = bordered[:, REACH:-REACH, REACH:-REACH]
    inner[0], inner[1] = own * near, near
    for apart in (1, wide):
        for _ in range(2 * REACH):
            flat = flat[:-apart] + flat[apart:]
    sums, weights = flat.reshape(2, high, wide)[:, :rows, :columns]
    if not weights.all():
        alone = weights == 0
        sums, weights = np.where(alone, even, sums), np.where(alone, 1, weights)
    return np.asarray((sums + (weights >> 1)) // weights)


def _spread_out(values: Regions, shape: tuple[int, ...]) -> Gains:
    """Values of regions as they are between the regions' middles, in a finer grid.

    Beyond the outermost middles the slope goes on, so that they may be -7,000 to 11,000.
    """
    bands = _spread_down(values, shape[0])
    across = _spread_down(np.ascontiguousarray(bands.T), shape[1])
    return np.ascontiguousarray(across.astype(np.int16).T)


def _spread_down(values: Regions, rows: int) -> Regions:
    first, beyond = _between(rows, *values.shape)
    made: Regions = (values[1:] - values[:-1]).take(first, 0)
    made *= beyond
    made >>= 6
    made += values.take(first, 0)
    return made


@lru_cache(maxsize=8)
def _between(cells: int, regions: int, columns: int) -> tuple[Places, Regions]:
    """For each cell the region before it, and in 64ths how near it is to the one after.

    The latter in so many columns, all alike: each row times one number would take twice as long.
    """
    # Where the cell's middle lies between middles of regions, in 64ths of a region.
    at = ((2 * np.arange(cells) + 1) * regions - cells) * 32 // cells
    first = (at // 64).clip(0, regions - 2)
    return first, np.repeat((at - 64 * first).astype(np.int32)[:, None], columns, axis=1)


@lru_cache(maxsize=8)
def _samples(rows: int, columns: int) -> tuple[Places, Places]:
    """Cells that stand for regions, as many for each: their rows, and where in these, by region."""
    (high, down), (wide, across) = SAMPLED
    of_rows, of_columns = (
        (2 * np.arange(count * each) + 1) * cells // (2 * count * each)
        for cells, (count, each) in zip((rows, columns), SAMPLED, strict=True)
    )
    places = np.arange(high * down)[:, None] * columns + of_columns
    parts = places.reshape(high, down, wide, across).transpose(0, 2, 1, 3)
    return of_rows, np.ascontiguousarray(parts.reshape(high * wide, down * across))


@lru_cache(maxsize=8)
def _windows(rows: int, columns: int) -> tuple[Places, Places]:
    """All windows of 5x5 pairs (n, 25), and which is nearest to each pair (rows, columns)."""
    place = np.arange(rows * columns).reshape(rows, columns)
    windows = np.lib.stride_tricks.sliding_window_view(place, (SIDE, SIDE))
    down, across = (
        (np.arange(n) - SIDE // 2).clip(0, count - 1)
        for n, count in zip((rows, columns), windows.shape[:2], strict=True)
    )
    nearest = down[:, None] * windows.shape[1] + across
    return np.ascontiguousarray(windows.reshape(-1, SIDE * SIDE)), nearest
