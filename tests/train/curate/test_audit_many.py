"""Promises of the audit of very many photos: searching finds what comparing finds."""

from types import ModuleType
from typing import Any

import numpy as np
import pytest

from train.curate import apart, audit
from train.data.events import centres
from train.data.split import Row

COUNT = 3000


@pytest.fixture
def photos() -> tuple[list[Row], Any]:
    """Subjects of six photos in three events, each a little apart, of four classes."""
    rng = np.random.default_rng(0)
    subjects = rng.normal(size=(COUNT // 6, 48)) * 1.5 / np.sqrt(np.arange(1, 49))
    features = np.repeat(subjects, 6, axis=0)
    features += rng.normal(0, 0.05, features.shape)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    rows = [
        Row(
            f"{i // 6 % 4}/{i}.jpg",
            str(i // 6 % 4),
            "train" if i % 5 else "test",
            "",
            f"{i // 2:05d}",
            "",
        )
        for i in range(COUNT)
    ]
    return rows, features.astype(np.float32)


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> Any:
    def searched(module: ModuleType, probed: int) -> None:
        monkeypatch.setattr(module, "MANY", 2)
        monkeypatch.setattr(centres, "IN_A_CELL", 30)
        monkeypatch.setattr(centres, "PROBED", probed)

    return searched


def neighbours(photos: tuple[list[Row], Any]) -> tuple[Any, Any]:
    rows, features = photos
    train = np.array([row.part == "train" for row in rows])
    return audit.nearest(features, [row.group for row in rows], train)


def test_a_search_in_all_cells_gives_the_neighbours_of_comparing(
    photos: tuple[list[Row], Any], many: Any
) -> None:
    indices, cosines = neighbours(photos)
    many(audit, 1000)
    found, likeness = neighbours(photos)
    np.testing.assert_array_equal(found, indices)
    np.testing.assert_allclose(likeness, cosines, atol=1e-6)


def test_a_search_in_some_cells_misses_hardly_any_near_neighbour(
    photos: tuple[list[Row], Any], many: Any
) -> None:
    indices, _ = neighbours(photos)
    many(audit, 16)
    found, _ = neighbours(photos)
    # Three events show one subject, so two others are near.
    both = zip(found.tolist(), indices.tolist(), strict=True)
    assert np.mean([len({*a[:2]} & {*b[:2]}) / 2 for a, b in both]) > 0.97


def together(photos: tuple[list[Row], Any]) -> set[int]:
    """The subjects of which at least two events are in one finding."""
    found = apart.events_apart(*photos)
    numbers = [[int(path.split("/")[1][:-4]) // 6 for path in finding.paths] for finding in found]
    return {subject for each in numbers for subject in each if each.count(subject) > 1}


def test_events_apart_are_found_by_a_search_too(photos: tuple[list[Row], Any], many: Any) -> None:
    compared = together(photos)
    assert len(compared) > 0.9 * COUNT / 6
    many(apart, 1000)
    assert together(photos) == compared
    many(apart, 16)
    assert len(together(photos) & compared) > 0.95 * len(compared)


def test_an_event_of_most_photos_leaves_enough_neighbours_of_others(
    photos: tuple[list[Row], Any], many: Any
) -> None:
    rows, features = photos
    groups = ["one" if i < COUNT - 12 else row.group for i, row in enumerate(rows)]
    train = np.ones(COUNT, bool)
    expected = audit.nearest(features, groups, train)
    many(audit, 1)
    found = audit.nearest(features, groups, train)
    np.testing.assert_array_equal(np.sort(found[0]), np.sort(expected[0]))
