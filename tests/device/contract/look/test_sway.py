"""Leaves that sway further than before are no subject; whoever stands before them is."""

import numpy as np
import pytest

from device.contract.look.change import SMOOTHED, Plane, difference
from device.contract.look.rules import LookRules
from device.contract.look.sway import REACH, is_swaying

RULES = LookRules()
ROWS, COLUMNS = 72, 96
RESTLESS = np.full((ROWS, COLUMNS), 40 * SMOOTHED, np.int16)
SIDE = 4
PATCHES = np.random.default_rng(3).integers(40, 400, (3, ROWS // SIDE, COLUMNS // SIDE))
LEAVES = PATCHES.astype(np.int16).repeat(SIDE, axis=1).repeat(SIDE, axis=2)


def sways(picture: Plane, spread: Plane = RESTLESS, *, corner: tuple[int, int] = (30, 40)) -> bool:
    mask = np.zeros((ROWS, COLUMNS), bool)
    mask[corner[0] : corner[0] + 12, corner[1] : corner[1] + 9] = True
    mask &= difference(picture, LEAVES) > 0
    assert mask.sum() > 20
    return is_swaying(mask, picture, LEAVES, spread, RULES)


@pytest.mark.parametrize("aside", [(0, 1), (-REACH, REACH), (2, -3)])
def test_what_shows_the_place_some_cells_aside_sways(aside: tuple[int, int]) -> None:
    assert sways(np.roll(LEAVES, aside, axis=(1, 2)))


def test_a_leaf_at_the_rim_sways_too() -> None:
    assert sways(np.roll(LEAVES, 2, axis=2), corner=(0, 3))


def test_what_comes_from_further_away_does_not_sway() -> None:
    assert not sways(np.roll(LEAVES, (20, 30), axis=(1, 2)))


def test_one_colour_before_leaves_does_not_sway() -> None:
    assert not sways(np.full_like(LEAVES, 20))


def test_where_nothing_ever_swayed_nothing_sways() -> None:
    assert not sways(np.roll(LEAVES, 1, axis=2), np.full_like(RESTLESS, 10 * SMOOTHED))
