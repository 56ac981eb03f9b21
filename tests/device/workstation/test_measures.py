"""Figures that training and conversion share, held against their definitions."""

import math
from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.workstation.measures import NORMAL_95, wilson


def test_95_percent_of_a_normal_distribution_lie_within() -> None:
    inside = NormalDist().cdf(NORMAL_95) - NormalDist().cdf(-NORMAL_95)
    assert inside == pytest.approx(0.95, abs=1e-15)


@given(st.integers(1, 5000), st.data())
def test_the_ends_are_the_shares_that_a_score_test_just_does_not_refuse(
    n: int, data: st.DataObject
) -> None:
    share = data.draw(st.integers(0, n)) / n
    low, high = wilson(share, n)
    assert 0 <= low <= share <= high <= 1
    for end in (low, high):
        if 0 < end < 1:
            deviation = math.sqrt(end * (1 - end) / n)
            assert abs(share - end) == pytest.approx(NORMAL_95 * deviation, rel=1e-6)


def test_no_photo_and_every_photo_leave_room_on_one_side_alone() -> None:
    assert wilson(0, 30)[0] == 0 and 0.1 < wilson(0, 30)[1] < 0.12
    assert wilson(1, 30)[1] == 1 and 0.88 < wilson(1, 30)[0] < 0.9


def test_photos_that_recur_make_the_interval_wider() -> None:
    low, high = wilson(0.9, 100)
    wider_low, wider_high = wilson(0.9, 62.5)
    assert wider_low < low and high < wider_high
