"""Promises of comparing very many pictures: the result of comparing each with each, to the pair."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from threadpoolctl import threadpool_limits

from train.data import collected
from train.data.events import centres, groups, planes
from train.data.events.cells import Cells
from train.data.events.centres import Floats
from train.data.events.copies import joined
from train.data.events.groups import near_identical, near_identical_pairs

COUNT = 1200
CHANNELS = 768
ROUNDING = CHANNELS * float(np.finfo(np.float32).eps) / 2
"""A sum of as many products of two unit vectors is wrong by this at most, in whatever order a
processor adds them up (Higham 2002, section 3.1)."""
Made = Callable[[np.random.Generator], Floats]


def unit(vectors: npt.NDArray[Any]) -> Floats:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / lengths.clip(1e-6), np.float32)


def photos(rng: np.random.Generator) -> Floats:
    """Different pictures with few main components, as real ones have."""
    strength = 1 / np.arange(1, 301)
    axes = np.linalg.qr(rng.normal(size=(CHANNELS, 300)))[0].T
    return unit((rng.normal(size=(COUNT, 300)) * strength) @ axes)


def with_copies(rng: np.random.Generator) -> Floats:
    """Every second one is a copy of an earlier one, from nearly equal to not quite alike."""
    made = photos(rng)
    copied = np.arange(1, COUNT, 2)
    sources = rng.integers(0, copied)
    noise = unit(rng.normal(size=(len(copied), CHANNELS)).astype(np.float32))
    made[copied] = made[sources] + noise * rng.uniform(0, 0.5, (len(copied), 1))
    return unit(made)


def one_camera(rng: np.random.Generator) -> Floats:
    """All before one background: everything resembles everything."""
    noise = unit(rng.normal(size=(COUNT, CHANNELS)).astype(np.float32))
    return unit(photos(rng)[:1] + 0.2 * photos(rng) + noise * rng.uniform(0, 0.3, (COUNT, 1)))


def at_the_threshold(rng: np.random.Generator) -> Floats:
    """Pairs of which half are just above a correlation and half just below."""
    made = photos(rng)
    there = np.resize([0.94, 0.97, 0.99], COUNT // 2) + np.resize([-2e-4, 2e-4], COUNT // 2)
    noise = rng.normal(size=(COUNT // 2, CHANNELS))
    noise -= (noise * made[::2]).sum(1, keepdims=True) * made[::2]
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    made[1::2] = made[::2] * there[:, None] + noise * np.sqrt(1 - there**2)[:, None]
    return made


def flat_and_equal(rng: np.random.Generator) -> Floats:
    made = photos(rng)
    made[::3] = 0
    made[1::3] = made[1]
    return made


SETS: dict[str, Made] = {
    made.__name__: made
    for made in (photos, with_copies, one_camera, at_the_threshold, flat_and_equal)
}


@pytest.fixture(params=SETS)
def vectors(request: pytest.FixtureRequest) -> Floats:
    return SETS[request.param](np.random.default_rng(0))


@pytest.mark.parametrize("threshold", [0.94, 0.97, 0.99])
def test_cells_find_the_groups_and_pairs_of_comparing_each_with_each(
    vectors: Floats, threshold: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    each = np.arange(len(vectors))
    groups_ = joined(each, near_identical(vectors, threshold))
    pairs = near_identical_pairs(vectors, threshold, 10_000)
    monkeypatch.setattr(groups, "MANY", 2)
    found = near_identical(vectors, threshold)
    assert found.shape[1] < 20 * len(vectors)
    np.testing.assert_array_equal(joined(each, found), groups_)
    same = near_identical_pairs(vectors, threshold, 10_000)
    assert (len(same) > 10_000) == (len(pairs) > 10_000)
    if len(pairs) <= 10_000:
        # Rounding decides on a pair exactly at the threshold, and sums are rounded in any order.
        either = np.array(sorted({*same} ^ {*pairs}), np.int64).reshape(-1, 2).T
        sums = np.einsum("ij,ij->i", *(vectors[ends].astype(np.float64) for ends in either))
        np.testing.assert_allclose(sums, threshold, rtol=0, atol=ROUNDING)


def test_cells_leave_out_most_comparisons_of_different_photos(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(centres, "IN_A_CELL", 32)
    vectors = with_copies(np.random.default_rng(0))
    compared = sum(len(a) * len(b) for a, b in Cells.of(vectors).near(0.346))
    assert compared < 0.5 * len(vectors) ** 2 / 2


def test_neither_order_nor_threads_change_a_group(vectors: Floats) -> None:
    each = np.arange(len(vectors))
    groups_ = joined(each, Cells.of(vectors).connecting(0.94))
    order = np.random.default_rng(1).permutation(len(vectors))
    with threadpool_limits(2, "blas"):
        shuffled = joined(each, Cells.of(vectors[order]).connecting(0.94))
    first = np.full(len(vectors), len(vectors))
    np.minimum.at(first, shuffled, order)
    np.testing.assert_array_equal(first[shuffled], groups_[order])


def test_only_as_many_pairs_as_wanted_are_looked_for() -> None:
    same = np.repeat(np.eye(1, CHANNELS, dtype=np.float32), COUNT, axis=0)
    assert Cells.of(same).pairs(0.94, 100).shape == (2, 101)


def test_where_nothing_tells_pictures_apart_the_comparisons_grow_with_the_pictures(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(centres, "IN_A_CELL", 32)
    rng = np.random.default_rng(0)
    noise = unit(rng.normal(size=(2 * COUNT, CHANNELS)) + 20)
    monkeypatch.setattr(planes, "MOST_COMPARED", most := 200)
    for count in (COUNT, 2 * COUNT):
        found = Cells.of(noise[:count])
        sizes = np.diff(found.bounds)
        compared = sum(len(a) * len(b) for a, b in found.near(0.2))
        # From either end, and the whole of its own cell.
        assert compared <= 2 * most * count + (sizes**2).sum()
        assert compared < 0.5 * count**2 / 2


def test_pairs_with_others_are_those_of_comparing_each_with_each(vectors: Floats) -> None:
    asking, known = vectors[::4], np.delete(vectors, np.s_[::4], axis=0)
    cells = Cells.of(known)
    parts = list(Cells.of(asking, cells.space).pairs_with(cells, 0.95))
    found = {(i, j) for part in parts for i, j in part.T.tolist()}
    expected = set(map(tuple, np.argwhere(asking @ known.T >= 0.95).tolist()))
    for i, j in found ^ expected:
        assert abs(float(asking[i].astype(np.float64) @ known[j]) - 0.95) < ROUNDING
    assert sum(part.shape[1] for part in parts) == len(found), "each pair once"


def test_the_most_alike_known_picture_is_that_of_comparing(vectors: Floats) -> None:
    asking, known = vectors[::4], np.delete(vectors, np.s_[::4], axis=0)
    thresholds = np.resize([0.94, 0.97, 0.99], len(known))
    best, _ = collected._compared(asking, known, thresholds)
    found, where = collected._search(asking, known, thresholds)
    sure = np.abs(best) > 2 * ROUNDING
    np.testing.assert_array_equal((best >= 0)[sure], (found >= 0)[sure])
    alike = np.flatnonzero(sure & (best >= 0))
    np.testing.assert_allclose(found[alike], best[alike], rtol=0, atol=2 * ROUNDING)
    # Of equally similar ones it may be either by rounding.
    sums = np.einsum("ij,ij->i", asking[alike], known[where[alike]])
    over = sums - thresholds[where[alike]]
    np.testing.assert_allclose(over, best[alike], rtol=0, atol=2 * ROUNDING)
