"""Promises of searches in cells: the work grows as the vectors do, however they lie."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from train.data.events import centres

Floats = npt.NDArray[np.float32]
IN_A_CELL, PROBED = 30, 4
MOST = PROBED * 2 * IN_A_CELL
"""Vectors that one is compared with at most."""


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(centres, "IN_A_CELL", IN_A_CELL)
    monkeypatch.setattr(centres, "PROBED", PROBED)
    monkeypatch.setattr(centres, "MOST_SEARCHED", 40)
    monkeypatch.setattr(centres, "ASKED", 500)
    monkeypatch.setattr(centres, "TOLD", 50)


def unit(vectors: npt.NDArray[np.float64]) -> Floats:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def crowded(count: int) -> Floats:
    """Nine of ten lie close together, so that few centres are near to them; the others apart."""
    rng = np.random.default_rng(count)
    spread = unit(rng.normal(size=(count, 32)))
    crowd = rng.random(count) < 0.9
    return unit(spread * np.where(crowd, 0.05, 1.0)[:, None] + np.eye(32)[0] * crowd[:, None])


def one(count: int) -> Floats:
    """All are the same."""
    return np.repeat(unit(np.ones((1, 32))), count, axis=0)


def directions(count: int) -> Floats:
    """As like as chance has it: means of some are nearer to most than any one of them."""
    return unit(np.random.default_rng(count).normal(size=(count, 32)))


def compared(vectors: Floats, monkeypatch: pytest.MonkeyPatch) -> int:
    """Products that are computed for all pairs that are alike."""
    sizes: list[int] = []
    made, visits, products = centres.divided, centres.probed, [0]

    def divided(given: Any) -> Any:
        found = made(given)
        sizes[:] = map(len, found[1])
        return found

    def probed(asking: Floats, middles: Floats, most: int) -> Any:
        for cell, lines in visits(asking, middles, most):
            products[0] += len(lines) * sizes[cell]
            yield cell, lines

    with monkeypatch.context() as patched:
        patched.setattr(centres, "divided", divided)
        patched.setattr(centres, "probed", probed)
        for _ in centres.alike(vectors, 0.99, None):
            pass
    return products[0]


@pytest.mark.parametrize("made", [crowded, one, directions])
def test_however_they_lie_a_vector_is_compared_with_no_more_than_a_bound(
    made: Callable[[int], Floats], monkeypatch: pytest.MonkeyPatch
) -> None:
    few, many = (compared(made(n), monkeypatch) / n for n in (2000, 8000))
    assert few <= MOST and many <= MOST
    assert many < 1.5 * few, "four times as many take four times the work, no more"


@pytest.mark.parametrize("made", [crowded, one, directions])
def test_neighbourhoods_are_bounded_and_hold_each_vector_once(
    made: Callable[[int], Floats],
) -> None:
    vectors, asked = made(4000), []
    for rows, near in centres.neighbourhoods(vectors, vectors):
        assert 0 < len(near) <= MOST
        asked += rows.tolist()
    assert sorted(asked) == list(range(4000))


def test_pairs_are_found_from_either_end_and_hardly_any_is_missed() -> None:
    rng = np.random.default_rng(0)
    first = rng.normal(size=(2000, 32))
    vectors = unit(np.concatenate([first, first + 0.3 * rng.normal(size=first.shape)]))
    lines, columns = np.nonzero(vectors @ vectors.T >= 0.9)
    expected = {(i, j) for i, j in zip(lines.tolist(), columns.tolist(), strict=True) if i < j}
    parts = list(centres.alike(vectors, 0.9, None))
    assert len(parts) > 10, "in parts, none of which holds all"
    pairs = np.concatenate([ends for ends, _ in parts], axis=1)
    products = np.concatenate([products for _, products in parts])
    np.testing.assert_allclose(products, (vectors[pairs[0]] * vectors[pairs[1]]).sum(1), atol=1e-5)
    found = {(i, j) for i, j in zip(*np.sort(pairs, axis=0).tolist(), strict=True)}
    assert found <= expected
    assert len(found) > 0.98 * len(expected) > 1800


def test_a_search_in_all_cells_finds_every_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(centres, "PROBED", 10_000)
    vectors = crowded(1000)
    like = vectors @ vectors.T >= 0.9995
    np.fill_diagonal(like, val=False)
    pairs = np.concatenate([ends for ends, _ in centres.alike(vectors, 0.9995, None)], axis=1)
    assert pairs.shape[1] == like.sum() and like[pairs[0], pairs[1]].all()
