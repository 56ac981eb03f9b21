"""Figures that training and conversion both report."""

import math

NORMAL_95 = 1.959963984540054
"""Between plus and minus this lie 95% of a normal distribution."""


def wilson(share: float, n: float) -> tuple[float, float]:
    """95% score interval of a share (Wilson 1927), within 0..1.

    Unlike the usual one, share plus or minus a multiple of its deviation, it is right for few
    photos, and for shares of none or all.

    Args:
        share: 0..1.
        n: how many photos it is a share of, at least 1; need not be whole, if some photos recur.
    """
    z2 = NORMAL_95**2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = math.sqrt(z2 * (share * (1 - share) + z2 / (4 * n)) / n) / (1 + z2 / n)
    return min(max(0.0, centre - half), share), max(min(1.0, centre + half), share)
