"""What is done in few passes over numbers gives what its plain definition gives."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.contract.look import change, light
from device.contract.look.cells import FULL
from device.contract.look.change import SMOOTHED
from device.contract.look.light import MOST_GAIN, ONE
from device.contract.look.rules import LookRules

RULES = LookRules()
LEAST = RULES.least_difference * SMOOTHED
seeds = st.integers(0, 1 << 30)
sides = st.integers(1, 30)
plainly = settings(max_examples=60, deadline=None)


@pytest.mark.parametrize("gain", range(ONE // MOST_GAIN, ONE * MOST_GAIN + 1, 37))
@pytest.mark.parametrize("by_cell", [False, True])
def test_light_multiplies_and_rounds_whatever_the_gain(gain: int, by_cell: bool) -> None:
    cells = np.arange(FULL + 1, dtype=np.int16) * np.ones((3, 1, 1), np.int16)
    shape = cells.shape[1:] if by_cell else (3, 1, 1)
    lit = light.lit(cells, np.full(shape, gain, np.int16))
    assert lit.dtype == np.int16
    assert lit[0, 0].tolist() == [min(FULL, (cell * gain + 128) // 256) for cell in range(FULL + 1)]


@plainly
@given(sides, sides, seeds)
def test_what_is_smoothed_is_the_sum_over_the_nine_cells_around(
    rows: int, columns: int, seed: int
) -> None:
    values = np.random.default_rng(seed).integers(0, 1531, (rows, columns)).astype(np.int16)
    around = np.pad(values.astype(int), 1, mode="edge")
    wanted = [around[y : y + rows, x : x + columns] for y in range(3) for x in range(3)]
    assert change.smoothed(values).tolist() == np.sum(wanted, axis=0).tolist()


@plainly
@given(sides, sides, seeds)
def test_a_mask_grows_by_the_neighbours_of_its_cells(rows: int, columns: int, seed: int) -> None:
    mask = np.random.default_rng(seed).random((rows, columns)) < 0.1
    around = np.pad(mask, 1)
    wanted = [around[y : y + rows, x : x + columns] for y in range(3) for x in range(3)]
    assert change.grown(mask).tolist() == np.any(wanted, axis=0).tolist()


@plainly
@given(sides, sides, seeds)
def test_masks_that_grow_together_do_not_touch_one_another(
    rows: int, columns: int, seed: int
) -> None:
    masks = np.random.default_rng(seed).random((3, rows, columns)) < 0.1
    wanted = [change.grown(mask).tolist() for mask in masks]
    assert change.grown_each(masks).tolist() == wanted


@pytest.mark.parametrize("spreads", [1, 2, 7])
@pytest.mark.parametrize("brightest", [16, 255, 256, 257, 1000, ONE * MOST_GAIN])
def test_a_threshold_grows_with_spread_and_light_up_to_what_fits(
    brightest: int, spreads: int
) -> None:
    spread = np.arange(9 * 1530, dtype=np.int16)[None]
    found = change.thresholds(spread, brightest, LookRules(spreads=spreads))
    gain = max(ONE, brightest)
    wanted = [
        min(32767, max(LEAST, min(spreads * n, n + LEAST)) * gain // 256)
        for n in range(spread.size)
    ]
    assert found.dtype == np.int16 and found[0].tolist() == wanted


@plainly
@given(st.integers(3, 40), st.integers(3, 40), st.integers(1, 9), seeds)
def test_a_change_is_widespread_if_more_ninths_have_changed_than_a_subject_reaches(
    rows: int, columns: int, most: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    changed = rng.random((rows, columns)) < rng.random() / 3
    thirds = [part for band in np.array_split(changed, 3) for part in np.array_split(band, 3, 1)]
    many = sum(100 * int(third.sum()) > RULES.region_percent * third.size for third in thirds)
    assert change.is_widespread(changed, int(changed.sum()), LookRules(most_regions=most)) == (
        many > most
    )
