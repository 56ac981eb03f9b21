"""Promises of the audit of very many photos: searching finds what comparing finds."""

from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from train import filed
from train.curate import alike, apart, audit
from train.curate.units import numbered, weights_of
from train.curate.vectors import Chosen, InFile, highest, replaced
from train.data.events import centres
from train.data.split import Row

COUNT = 3000
CHANNELS = 48
ROUNDING = CHANNELS * float(np.finfo(np.float32).eps) / 2
"""A sum of as many products of two unit vectors is wrong by this at most, in whatever order a
processor adds them up (Higham 2002, section 3.1)."""


@pytest.fixture
def photos() -> tuple[list[Row], Any]:
    """Subjects of six photos in three events, each a little apart, of four classes."""
    rng = np.random.default_rng(0)
    falling = 1.5 / np.sqrt(np.arange(1, CHANNELS + 1))
    subjects = rng.normal(size=(COUNT // 6, CHANNELS)) * falling
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


def assert_same_but_for_rounding(found: Any, expected: Any, photos: tuple[list[Row], Any]) -> None:
    """Where two neighbours are equally similar, rounding decides which one comes first."""
    inside = np.flatnonzero([row.part == "train" for row in photos[0]])
    event = numbered([photos[0][row].group for row in inside])
    unit = audit._centred(photos[1], inside, weights_of(event))[:].astype(np.float64)
    rows, places = np.nonzero(found != expected)
    assert len(rows) < 1e-3 * found.size
    one, other = (
        np.einsum("ij,ij->i", unit[rows], unit[near[rows, places]]) for near in (found, expected)
    )
    np.testing.assert_allclose(one, other, rtol=0, atol=2 * ROUNDING)


def test_a_search_in_all_cells_gives_the_neighbours_of_comparing(
    photos: tuple[list[Row], Any], many: Any
) -> None:
    indices, cosines = neighbours(photos)
    many(audit, 1000)
    found, likeness = neighbours(photos)
    np.testing.assert_allclose(likeness, cosines, rtol=0, atol=2 * ROUNDING)
    assert_same_but_for_rounding(found, indices, photos)


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


def test_of_very_many_links_the_strongest_are_told(
    photos: tuple[list[Row], Any], many: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    many(apart, 1000)
    scores = [finding.score for finding in apart.events_apart(*photos)]
    monkeypatch.setattr(apart, "SORTED", 50)
    monkeypatch.setattr(apart, "MOST_LINKS", 100)
    few = [finding.score for finding in apart.events_apart(*photos)]
    assert 0 < len(few) <= 100 < len(scores)
    assert sorted(few) == sorted(scores)[-len(few) :]


def test_links_that_are_not_kept_count_among_too_many(
    photos: tuple[list[Row], Any], many: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    many(apart, 1000)
    monkeypatch.setattr(apart, "SORTED", 50)
    monkeypatch.setattr(apart, "MOST_LINKS", 100)
    monkeypatch.setattr(apart, "MAX_PAIRS_PER_EVENT", 0.5)
    assert apart.events_apart(*photos) == []


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


@pytest.mark.parametrize("count", [1, 5, 29, 30, 40])
def test_the_highest_are_those_that_sorting_gives_of_equal_ones_the_first(count: int) -> None:
    values = np.random.default_rng(0).integers(0, 9, (200, 30)).astype(np.float32)
    expected = np.argsort(-values, axis=1, kind="stable")[:, :count]
    np.testing.assert_array_equal(highest(values, count), expected)


def test_of_an_event_the_most_similar_photo_is_the_neighbour(
    photos: tuple[list[Row], Any],
) -> None:
    rows, features = photos
    train = np.ones(COUNT, bool)
    indices, cosines = audit.nearest(features, [row.group for row in rows], train)
    centred = features - features.mean(axis=0)
    centred /= np.linalg.norm(centred, axis=1, keepdims=True)
    for i in range(0, COUNT, 100):
        like = (centred @ centred[i]).reshape(-1, 2)
        like[i // 2] = -1
        best = np.argsort(-like.max(axis=1), kind="stable")[: len(indices[i])]
        np.testing.assert_array_equal(indices[i], 2 * best + like[best].argmax(axis=1))
        np.testing.assert_allclose(cosines[i], like[best].max(axis=1), atol=1e-5)


@pytest.fixture
def in_file(photos: tuple[list[Row], Any], tmp_path: Path) -> InFile:
    """The features as they are cached, each second photo's in another place."""
    path = tmp_path / "features.f16"
    place = np.arange(COUNT).reshape(2, -1).T.ravel()
    stored = np.empty_like(photos[1])
    stored[place] = photos[1] * 3
    path.write_bytes(stored.astype(np.float16).tobytes())
    return InFile.of(path, stored.shape[1], place)


def test_features_in_a_file_are_those_in_memory_to_the_bit(
    photos: tuple[list[Row], Any], in_file: InFile
) -> None:
    np.testing.assert_allclose(in_file[:], photos[1], atol=1e-3)
    assert np.array_equal(in_file[7], in_file[:][7])
    assert np.array_equal(in_file[10:90:7], in_file[:][10:90:7])
    rows = np.array([5, 3, 900])
    assert np.array_equal(Chosen(in_file, rows)[1:], in_file[:][rows[1:]])
    changed = replaced(in_file, rows, in_file[:][:3])
    expected = replaced(in_file[:], rows, in_file[:][:3])
    assert np.array_equal(changed[:], expected[:]) and np.array_equal(changed[3], expected[3])


def test_the_audit_finds_in_a_file_what_it_finds_in_memory(
    photos: tuple[list[Row], Any], in_file: InFile, many: Any
) -> None:
    rows = [
        replace(r, label="0", sha256=r.path) if i % 50 == 1 else r for i, r in enumerate(photos[0])
    ]
    for module in (apart, audit):
        many(module, 16)
    found = []
    for features in (in_file[:], in_file):
        suspects, judge = audit.mislabels(rows, ["0", "1", "2", "3"], features)
        assert suspects and judge
        told = [(f.paths, f.suggested, f.neighbours, round(f.score, 4)) for f in suspects]
        exact = apart.events_apart(rows, features) + audit.outliers(rows, features)
        found.append((sorted(told), judge.n, judge.events, round(judge.accuracy, 4), exact))
    assert found[0] == found[1] and found[1][-1]
    thumbnails = np.ones((COUNT, 768), np.float32)[:0]
    same = alike.find_alike(rows[:0], thumbnails, in_file)
    assert same == []


def test_what_is_left_of_photos_in_a_file_is_searched_in_a_file(
    photos: tuple[list[Row], Any], in_file: InFile, many: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    many(apart, 16)
    made: list[Any] = []

    def table(*given: Any) -> Any:
        made.append(filed.table(*given))
        return made[-1]

    for module in (apart, centres):
        monkeypatch.setattr(module, "table", table)
    assert apart.events_apart(photos[0], in_file)
    assert len(made) == 3, "means, what is left, and that by cell"
    assert all(isinstance(each, filed.Filed) for each in made)


def test_of_very_many_photos_some_of_each_class_teach_the_judges(
    photos: tuple[list[Row], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, features = photos
    labels = ["0", "1", "2", "3"]
    truth = np.array([labels.index(row.label) for row in rows])
    train = np.array([row.part == "train" for row in rows])
    event = numbered([row.group for row in rows])
    monkeypatch.setattr(audit, "MOST_TAUGHT", 1000)
    taught = audit._teachers(np.flatnonzero(train), truth, event)
    assert np.bincount(truth[taught]).tolist() == [250] * 4 and train[taught].all()
    # Each event has two photos, of which training has one or both: first one of each.
    assert len(np.unique(event[taught])) == len(taught)
    judges = audit.Judges.taught(features, truth, event, train)
    inside = np.isin(event, event[taught]) & train
    assert (judges.fold[inside] >= 0).all() and (judges.fold[~inside] == -1).all()
    assert np.allclose(judges.of(np.arange(COUNT)).sum(axis=1), 1)
