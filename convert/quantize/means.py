"""Ranges of spatial means that every processor rounds alike.

An int8 mean is a whole sum times a float, plus a zero point, rounded. XNNPACK leaves it to the
compiler to round the product before the addition: on x86-64 it does, on aarch64 one instruction
does both and rounds once. A sum whose mean lies half-way between two steps may then become one
step on a workstation and another on a board: of a hundred networks a few have such a sum. The
convolutions and additions of XNNPACK round the same way everywhere.

There are only some thousand sums, and the range decides where their means lie. So it is made wider
by a few thousandths until none lies within rounding errors of half-way.
"""

import numpy as np

from convert.quantize.exact import ACTIVATION_STEPS, Grid, Range

WIDER = 2.0**-14
"""By how much more of itself each try is wider: enough to move most means out of the way."""
TRIES = 512
"""So a range becomes at most 3% wider; some ten tries are usual."""
ROUNDING = 2.0**-24
"""The largest relative error of rounding to float32."""


def alike(limits: Range, of: Range, positions: int) -> Range:
    """The range of a mean, or one a little wider, in which every processor rounds alike.

    Args:
        limits: the range that was observed.
        of: the range of what the mean is taken of.
        positions: of how many values it is the mean.

    Returns:
        The narrowest range that is tried and serves; the one that serves best if none does, which
        takes a mean of some hundred positions.
    """
    best, most, taken_of = limits, -np.inf, Grid.stored(*of)
    for count in range(TRIES):
        factor = 1 + count * WIDER
        wider = (limits[0] * factor, limits[1] * factor)
        room = room_for_rounding(Grid.stored(*wider), taken_of, positions)
        if room > most:
            best, most = wider, room
        if room > 0:
            break
    return best


def room_for_rounding(mean: Grid, of: Grid, positions: int) -> float:
    """How much nearer to half-way a mean may be than it is, in steps; at most 0: it is too near.

    Args:
        mean: the grid that the mean is rounded to.
        of: the grid of what it is taken of.
        positions: of how many values it is the mean.
    """
    sums = np.arange(ACTIVATION_STEPS * positions + 1, dtype=np.float64) - positions * of.zero_step
    steps = sums * (of.scale / mean.scale / positions) + mean.zero_step
    # Those beyond either end become that end.
    steps = steps[(steps > -0.5) & (steps < ACTIVATION_STEPS + 0.5)]
    nearest = float(np.abs(steps - np.floor(steps) - 0.5).min(initial=0.5))
    return nearest - _error(of.scale / mean.scale)


def _error(ratio: float) -> float:
    """How far a mean may be from the exact one where it is computed in float32, in steps.

    The factor is the ratio of two scales, times one over the positions: rounded four times. The
    sum's product with it, the input's zero point times it, the output's zero point less that, and
    the sum of both are rounded once each.
    """
    product = zero_point = 128 * ratio
    return ROUNDING * (4 * ACTIVATION_STEPS + product + zero_point + (128 + zero_point) + 128)
