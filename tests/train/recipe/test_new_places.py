"""What to expect at a new place is told from the places that there are, and from three on."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.workstation.events.listed import Occasion
from device.workstation.expected import NewPlaces
from device.workstation.photo_files import PhotoFiles
from device.workstation.training import Part
from train.data.split import Row
from train.recipe.expected.estimates import Expected, expected
from train.recipe.expected.held_out import Sample, Views, cells, hits_by_event, taught
from train.recipe.expected.new_places import Decline, estimate
from train.recipe.photos import Photos

CLASSES, CHANNELS = 3, 10
NEW = 40
"""Places that tell the truth."""


class World:
    """Made features: a direction for the class, one for the place, and noise."""

    def __init__(self, seed: int, background: float, home: float = 0.6) -> None:
        self.rng = np.random.default_rng(seed)
        self.background, self.home = background, home
        self.classes = self._directions(CLASSES)
        self.places = self._directions(100)

    def _directions(self, n: int) -> np.ndarray:
        drawn = self.rng.normal(size=(n, CHANNELS))
        return np.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True))

    def sample(self, events: int, places: range, frames: int = 1) -> Sample:
        """Events at some places; among the first, each class has a home."""
        labels = np.arange(events) % CLASSES
        where = self.rng.integers(places.start, places.stop, events)
        if places.start == 0:
            where = np.where(self.rng.random(events) < self.home, labels, where)
        values = 0.5 * self.classes[labels] + self.background * self.places[where]
        values = values + 0.25 * self.rng.normal(size=values.shape)
        values = np.repeat(values, frames, axis=0)
        values += 0.02 * self.rng.normal(size=values.shape)
        names = np.repeat([f"e{i}" for i in range(events)], frames)
        features = values / np.linalg.norm(values, axis=1, keepdims=True)
        at = np.repeat([f"p{i}" for i in where], frames)
        return Sample(
            features.astype(np.float32), np.repeat(labels, frames), names, at, Views.none(CHANNELS)
        )


def told(sample: Sample) -> tuple[NewPlaces, Sample, np.ndarray]:
    """The estimate, if the network is a linear classifier; what it was taught with."""
    teach = np.isin(sample.events, np.unique(sample.events)[: int(0.7 * len(set(sample.events)))])
    model = taught(sample, teach)
    right = model.predict(sample.features[~teach]) == sample.labels[~teach]
    result = estimate(sample, teach, right, seed=0)
    assert result is not None
    return result, sample, teach


def true(world: World, sample: Sample, teach: np.ndarray) -> float:
    new = world.sample(600, range(50, 50 + NEW))
    return float((taught(sample, teach).predict(new.features) == new.labels).mean())


def test_where_places_do_not_matter_a_new_one_is_expected_to_be_as_good() -> None:
    differences = []
    for seed in range(4):
        sample = World(seed, background=0.0).sample(150, range(6))
        known = cells(sample).mean(hits_by_event(sample, 5, 0))
        differences.append(told(sample)[0].accuracy - known)
    assert abs(np.mean(differences)) < 0.04


def test_where_the_background_tells_the_class_a_new_place_is_expected_to_be_worse() -> None:
    errors, gaps = [], []
    for seed in range(8):
        world = World(seed, background=1.2)
        sample = world.sample(150, range(6))
        result, _, teach = told(sample)
        errors.append(result.accuracy - true(world, sample, teach))
        gaps.append(cells(sample).mean(hits_by_event(sample, 5, 0)) - result.accuracy)
    assert abs(np.mean(errors)) < 0.05
    assert np.mean(gaps) > 0.06


def test_the_interval_contains_the_truth_in_nearly_all_worlds() -> None:
    inside = []
    for seed in range(12):
        world = World(100 + seed, background=0.8)
        sample = world.sample(90, range(3 + seed % 7))
        result, _, teach = told(sample)
        low, high = result.interval
        inside.append(low <= true(world, sample, teach) <= high)
    assert np.mean(inside) >= 0.9


def before_others(world: World, sample: Sample) -> Sample:
    """Two views of each photo before the backgrounds of other places."""
    names, rng = np.unique(sample.places), np.random.default_rng(0)
    photos = np.repeat(np.arange(len(sample.labels)), 2)
    behind = np.array([rng.choice(names[names != sample.places[i]]) for i in photos])
    directions = world.places[[int(name[1:]) for name in behind]]
    values = 0.5 * world.classes[sample.labels[photos]] + world.background * directions
    values += 0.25 * rng.normal(size=values.shape)
    values /= np.linalg.norm(values, axis=1, keepdims=True)
    return replace(sample, views=Views(photos, values.astype(np.float32), behind))


def test_of_training_that_exchanges_backgrounds_the_right_thing_is_expected_too() -> None:
    errors = []
    for seed in range(6):
        world = World(seed, background=1.2)
        shown = before_others(world, world.sample(150, range(6)))
        result, _, teach = told(shown)
        errors.append(result.accuracy - true(world, shown, teach))
    assert abs(np.mean(errors)) < 0.06


def test_a_view_teaches_only_if_its_photo_and_its_background_are_of_what_teaches() -> None:
    world = World(0, background=1.0)
    sample = before_others(world, world.sample(30, range(3)))
    teach = sample.places != "p0"
    features, labels, weights = sample.lesson(teach)
    views = sample.views
    shown = teach[views.photos] & (views.behind != "p0")
    assert len(features) == len(labels) == teach.sum() + shown.sum()
    assert weights.sum() == pytest.approx(len(set(sample.events[teach])))


def test_more_frames_of_an_event_change_nothing_that_matters() -> None:
    single = World(5, background=0.8).sample(120, range(5))
    doubled = Sample(
        np.repeat(single.features, 4, axis=0),
        np.repeat(single.labels, 4),
        np.repeat(single.events, 4),
        np.repeat(single.places, 4),
        single.views,
    )
    once, often = told(single)[0], told(doubled)[0]
    assert once.events == often.events
    assert often.accuracy == pytest.approx(once.accuracy, abs=0.02)
    assert np.subtract(*often.interval) == pytest.approx(np.subtract(*once.interval), abs=0.03)


def test_a_better_network_is_expected_to_be_better_elsewhere() -> None:
    sample = World(1, background=0.8).sample(300, range(6))
    teach = np.arange(len(sample.labels)) % 3 > 0
    right = taught(sample, teach).predict(sample.features[~teach]) == sample.labels[~teach]
    plain, perfect = (estimate(sample, teach, hits, 0) for hits in (right, np.ones_like(right)))
    assert plain is not None and perfect is not None
    assert perfect.accuracy > plain.accuracy


def test_one_event_says_hardly_anything_about_what_the_network_gains() -> None:
    sample = World(3, background=0.9).sample(40, range(4))
    everything = np.ones(len(sample.labels), bool)
    easy = taught(sample, everything).predict(sample.features) == sample.labels
    teach = np.arange(len(easy)) != easy.argmax()
    wrong, right = (estimate(sample, teach, np.array([hit]), 0) for hit in (False, True))
    assert wrong is not None and right is not None
    assert right.accuracy - wrong.accuracy < 0.1
    assert wrong.interval[1] - wrong.interval[0] > 0.2


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10**6), st.integers(3, 30), st.integers(12, 60))
def test_any_places_and_events_give_shares(seed: int, places: int, events: int) -> None:
    sample = World(seed, background=0.7).sample(events, range(places))
    if len(set(sample.places.tolist())) < 3:
        return
    result, _, _ = told(sample)
    low, high = result.interval
    assert 0 <= low <= result.accuracy <= high <= 1
    assert [point.places for point in result.curve] == sorted({p.places for p in result.curve})
    assert result.curve[-1].places == result.places - 1
    assert result.enough is None or result.enough >= result.places


@given(st.floats(0, 1), st.floats(0, 1), st.integers(2, 50))
def test_more_places_are_never_expected_to_be_worse(known: float, last: float, n: int) -> None:
    decline = Decline.through([(1, last / 2), (n, last)], known)
    steps = [last, decline.accuracy(n + 1), decline.accuracy(2 * n + 2), max(known, last)]
    assert all(before <= after + 1e-9 for before, after in pairwise(steps))
    enough = decline.enough()
    if enough is not None:
        assert enough > n
        assert decline.accuracy(enough) >= known - 0.05


def test_a_class_that_only_one_place_has_is_asked_about_and_not_dropped() -> None:
    sample = World(3, background=0.5).sample(90, range(4))
    sample = replace(sample, places=np.where(sample.labels == 2, "p0", sample.places))
    result, _, _ = told(sample)
    assert result.accuracy < 0.75


def test_with_fewer_than_three_places_nothing_is_expected() -> None:
    sample = World(2, background=0.5, home=0.0).sample(40, range(2))
    teach = np.arange(40) < 30
    assert estimate(sample, teach, np.ones(10, bool), 0) is None


def test_without_known_places_no_network_is_run(tmp_path: Path) -> None:
    class Nobody:
        def features(self, rows: Sequence[Row]) -> np.ndarray:
            raise AssertionError("nobody needs them")

        def views(self, rows: Sequence[Row]) -> None:
            raise AssertionError("nobody needs them")

    rows = {part: [Row(f"a/{part}.jpg", "a", part, "00", "00", "")] for part in Part}
    listed = {f"a/{part}.jpg": Occasion("00", "") for part in Part}
    photos = Photos(PhotoFiles(tmp_path), ("a", "b"), rows, listed)
    hits = {part: np.ones(1, bool) for part in (Part.VAL, Part.TEST)}
    assert expected(photos, hits, Nobody(), 0) == Expected(None, None)
