"""Light is told from subjects, and a nudge from another place; in small pictures of cells."""

import numpy as np
import pytest

from device.contract.look import light, shift
from device.contract.look.cells import FULL, Cells
from device.contract.look.change import Background
from device.contract.look.light import ONE
from device.contract.look.place import MOST_SPREAD

SHAPE = (72, 96)
NOT_OVER = np.zeros((3, *SHAPE), bool)


def a_place(seed: int, shape: tuple[int, int] = SHAPE) -> Cells:
    """Patches of four cells, 100 to 300."""
    rng = np.random.default_rng(seed)
    rows, columns = shape
    patches = rng.integers(100, 300, (3, -(-rows // 4), -(-columns // 4)))
    return patches.repeat(4, 1).repeat(4, 2)[:, :rows, :columns].astype(np.int16)


def test_light_that_changes_across_the_picture_is_told_cell_by_cell() -> None:
    usual = a_place(1)
    wanted = np.linspace(0.6, 1.5, 96)[None, :] * np.ones((72, 1))
    found = light.local_gains((usual * wanted).astype(np.int16), usual, NOT_OVER)
    assert np.abs(found / ONE / wanted - 1).max() < 0.08


def test_the_soft_edge_of_a_shadow_is_light() -> None:
    usual = a_place(2)
    wanted = 0.8 + 0.2 * np.tanh((np.arange(96) - 48) / 10)[None, :] * np.ones((72, 1))
    picture = (usual * wanted).astype(np.int16)
    expected = light.lit(usual, light.local_gains(picture, usual, NOT_OVER))
    assert np.mean(np.abs(picture - expected) <= 16) > 0.95


@pytest.mark.parametrize("at", [(6, 8), (30, 40), (36, 60)])
def test_a_subject_of_half_the_height_is_no_light(at: tuple[int, int]) -> None:
    usual, (y, x) = a_place(3), at
    picture = usual.copy()
    picture[:, y : y + 36, x : x + 36] = 20
    found = light.local_gains(picture, usual, NOT_OVER)
    assert np.abs(found - ONE).max() <= ONE // 20


def test_what_is_overexposed_tells_nothing_about_the_light() -> None:
    usual = a_place(4)
    usual[1] += 160
    picture = (usual * 1.5).clip(0, FULL).astype(np.int16)
    found = light.local_gains(picture, usual, NOT_OVER)
    assert np.abs(found / ONE - 1.5).max() < 0.05


@pytest.mark.parametrize(("down", "right"), [(1, 0), (0, -3), (-6, 5), (8, 8)])
def test_a_nudge_by_whole_cells_moves_the_background_with_the_picture(
    down: int, right: int
) -> None:
    wide = a_place(5, (92, 116))
    usual, picture = (wide[:, 10 - y :, 10 - x :][:, :72, :96] for y, x in ((0, 0), (down, right)))
    moved = shift.nudged(picture, Background(usual, np.full(SHAPE, 90, np.int16)))
    assert moved is not None
    assert np.abs(moved.cells - picture).max() <= 2


def test_the_spread_of_a_nudged_background_is_one_that_can_be_kept() -> None:
    wide = (a_place(5, (92, 116)) > FULL // 2) * np.int16(FULL)
    usual, picture = wide[:, 10:82, 10:106], wide[:, 10:82, 7:103]
    moved = shift.nudged(picture, Background(usual, np.full(SHAPE, 90, np.int16)))
    assert moved is not None and moved.spread.min() >= 0 and moved.spread.max() <= MOST_SPREAD


def test_where_a_nudge_shows_what_was_outside_the_background_is_what_is_seen_and_unsure() -> None:
    wide = a_place(5, (92, 116))
    usual, picture = wide[:, 10:82, 10:106], wide[:, 10:82, 7:103]
    moved = shift.nudged(picture, Background(usual, np.full(SHAPE, 90, np.int16)))
    assert moved is not None
    assert moved.spread[:, :3].min() >= shift.OUTSIDE
    assert np.median(moved.spread[:, 3:]) < shift.OUTSIDE


def test_another_place_is_no_nudge() -> None:
    known = Background(a_place(6), np.full(SHAPE, 90, np.int16))
    assert shift.nudged(a_place(7), known) is None
    assert shift.nudged(a_place(6), known) is None
    flat = Background(np.full((3, *SHAPE), 90, np.int16), known.spread)
    assert shift.nudged(flat.cells, flat) is None


def test_small_pictures_are_never_moved() -> None:
    wide = a_place(8, (40, 40))
    known = Background(wide[:, :30, :30], np.full((30, 30), 90, np.int16))
    assert shift.nudged(wide[:, 2:32, 2:32], known) is None
