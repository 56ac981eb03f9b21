"""Where a test part has few events, all events tell more: each is held out of teaching in turn."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.workstation.events.listed import Occasion
from device.workstation.expected import SamePlaces
from device.workstation.photo_files import PhotoFiles
from device.workstation.training import Part
from train.data.split import Row
from train.recipe.expected.estimates import Expected, expected
from train.recipe.expected.gain import Gain, gain_of
from train.recipe.expected.held_out import Sample, Views, hits_by_event, taught
from train.recipe.expected.same_places import FEW_EVENTS, estimate, says_more, with_gain
from train.recipe.photos import Photos

LABELS = ("a", "b", "c")
CHANNELS = 10


def directions(seed: int) -> np.ndarray:
    """Of each class, (classes, channels)."""
    drawn = np.random.default_rng(seed).normal(size=(len(LABELS), CHANNELS))
    return np.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True))


def sample_of(seed: int, of_class: Sequence[int], frames: int = 3, draw: int = 1) -> Sample:
    """Events that differ from one another, of frames that hardly do."""
    rng = np.random.default_rng([seed, draw])
    labels = np.repeat(np.arange(len(of_class)), of_class)
    values = directions(seed)[labels] * 0.5 + 0.3 * rng.normal(size=(len(labels), CHANNELS))
    values = np.repeat(values, frames, axis=0)
    values += 0.02 * rng.normal(size=values.shape)
    names = np.repeat([f"e{i:03d}" for i in range(len(labels))], frames)
    features = (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)
    where = np.full(len(names), "")
    return Sample(features, np.repeat(labels, frames), names, where, Views.none(CHANNELS))


def teaching(sample: Sample, seed: int = 0) -> np.ndarray:
    """Seven of ten events."""
    names = np.unique(sample.events)
    chosen = np.random.default_rng(seed).permutation(names)[: round(0.7 * len(names))]
    return np.isin(sample.events, chosen)


def linear(sample: Sample, teach: np.ndarray) -> np.ndarray:
    """Hits of a network that is the linear classifier."""
    answers = taught(sample, teach).predict(sample.features[~teach])
    return np.asarray(answers == sample.labels[~teach])


def told(sample: Sample, seed: int = 0) -> SamePlaces:
    teach = teaching(sample, seed)
    result = estimate(sample, teach, linear(sample, teach), LABELS, seed)
    assert result is not None
    return result


def truth(sample: Sample, teach: np.ndarray, seed: int) -> float:
    """Accuracy on 600 new events."""
    new = sample_of(seed, [200, 200, 200], 1, draw=2)
    return float((taught(sample, teach).predict(new.features) == new.labels).mean())


def test_many_worlds_are_told_rightly_and_far_better_than_by_their_test_parts() -> None:
    off, of_test_part, held = [], [], []
    for seed in range(16):
        sample = sample_of(seed, [10, 10, 10])
        teach, said = teaching(sample, seed), told(sample, seed)
        right = linear(sample, teach)
        true = truth(sample, teach, seed)
        five = np.isin(sample.events[~teach], np.unique(sample.events[~teach])[:5])
        of_test_part.append(right[five].mean() - true)
        off.append(said.accuracy - true)
        held.append(said.interval[0] <= true <= said.interval[1])
    assert abs(np.mean(off)) < 0.03
    assert np.std(off) < 0.6 * np.std(of_test_part)
    assert np.mean(held) > 0.85


def drawn(
    rng: np.random.Generator, events: int, correlation: float, share: float
) -> tuple[np.ndarray, np.ndarray]:
    """Hits of photos whose answers are correlated within their events, and the events."""
    sizes = rng.integers(1, 4, events)
    names, together = np.repeat(np.arange(events), sizes), rng.random(events) < share
    alike = rng.random(events) < correlation
    single = rng.random(len(names)) < share
    return np.where(alike[names], together[names], single), names


@pytest.mark.parametrize("events", [8, 20, 60])
@pytest.mark.parametrize("correlation", [0.0, 0.3, 0.7, 1.0])
def test_the_interval_holds_the_truth_whatever_photos_of_an_event_have_in_common(
    events: int, correlation: float
) -> None:
    rng, held = np.random.default_rng([events, int(10 * correlation)]), []
    for share in (0.6, 0.75, 0.85, 0.92):
        for _ in range(80):
            hits, names = drawn(rng, events, correlation, share)
            error = 0.03
            _, (low, high) = with_gain([hits], names.tolist(), Gain(error * rng.normal(), error))
            held.append(low <= share <= high)
    assert 0.92 <= np.mean(held) <= 0.985


def test_an_event_counts_once() -> None:
    hits = np.array([True] * 30 + [False] * 3)
    events = ["a"] * 28 + ["b", "c", "d", "e", "f"]
    value, _ = with_gain([hits], events, Gain(0.0, 0.01))
    assert value == pytest.approx(3 / 6)


def test_a_class_with_one_event_teaches_but_nothing_is_said_of_it() -> None:
    sample = sample_of(1, [12, 12, 1])
    assert told(sample).without == ("c",) and told(sample).events == 24
    wrong = sample.labels == 2
    hits = hits_by_event(sample, 3, 0)
    assert not hits[wrong].any()


def test_an_event_of_which_photos_taught_says_nothing_of_what_the_network_gains() -> None:
    sample = sample_of(2, [10, 10, 10])
    teach = teaching(sample)
    gain = gain_of(sample, teach, linear(sample, teach))
    # The first frame of every event that taught is judged, too, and always right.
    torn = np.append(True, sample.events[1:] != sample.events[:-1]) & teach
    answers = taught(sample, teach & ~torn).predict(sample.features) == sample.labels
    hits = (answers | torn)[~(teach & ~torn)]
    assert gain_of(sample, teach & ~torn, hits).mean == pytest.approx(gain.mean, abs=0.02)


def test_a_better_network_is_expected_to_be_better() -> None:
    sample = sample_of(3, [20, 20, 20])
    teach = teaching(sample)
    hits = linear(sample, teach)
    plain, perfect = (
        estimate(sample, teach, right, LABELS, 0) for right in (hits, np.ones_like(hits))
    )
    assert plain is not None and perfect is not None
    assert perfect.accuracy > plain.accuracy


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6), st.lists(st.integers(2, 12), min_size=2, max_size=3))
def test_any_events_give_shares(seed: int, of_class: list[int]) -> None:
    sample = sample_of(seed, of_class, 1)
    teach = teaching(sample, seed)
    if len(np.unique(sample.labels[teach])) < 2:
        return
    result = estimate(sample, teach, linear(sample, teach), LABELS, seed)
    assert result is not None and result.events == sum(of_class)
    assert 0 <= result.interval[0] <= result.accuracy <= result.interval[1] <= 1


def events(*of_class: int) -> list[tuple[str, str]]:
    return [(LABELS[k], f"{k} {i}") for k, n in enumerate(of_class) for i in range(n)]


def test_a_test_part_of_many_events_speaks_for_itself() -> None:
    everything = events(300, 300)
    assert says_more([f"e{i}" for i in range(FEW_EVENTS - 1)] * 2, everything)
    assert not says_more([f"e{i}" for i in range(FEW_EVENTS)], everything)


@pytest.mark.parametrize("of_class", [(1, 1), (20, 1), (3, 4, 1), (20, 0)])
def test_too_few_events_are_not_asked_about(of_class: tuple[int, ...]) -> None:
    assert not says_more(["e0"], events(*of_class))
    assert says_more(["e0"], events(4, 4, 1))


class Made:
    """Features of photos by their event; counts what it is asked for."""

    def __init__(self) -> None:
        self.asked = 0

    def features(self, rows: Sequence[Row]) -> np.ndarray:
        self.asked += len(rows)
        return np.array([[r.label == "a", r.label == "b", 0.1] for r in rows], np.float32)

    def views(self, rows: Sequence[Row]) -> None:
        raise AssertionError("there are no places")


def photos_of(folder: Path, of_part: dict[Part, int], frames: int) -> Photos:
    rows = {
        part: [
            Row(f"{label}/{part}{i}_{f}.jpg", label, part, f"{part}{label}{i}{f}", f"{i}", "")
            for label in ("a", "b")
            for i in range(n)
            for f in range(frames)
        ]
        for part, n in of_part.items()
    }
    occasions = {
        row.path: Occasion(row.path.rsplit("_", 1)[0], "") for some in rows.values() for row in some
    }
    return Photos(PhotoFiles(folder), ("a", "b"), rows, occasions)


def test_of_long_events_a_few_photos_are_looked_at_without_any_place(tmp_path: Path) -> None:
    parts = {Part.TRAIN: 8, Part.VAL: 2, Part.TEST: 2}
    photos, pictures = photos_of(tmp_path, parts, frames=20), Made()
    hits = {part: np.ones(len(photos.rows[part]), bool) for part in (Part.VAL, Part.TEST)}
    said = expected(photos, hits, pictures, 0)
    assert said.same_places is not None and said.new_places is None
    assert said.same_places.events == 24 and said.same_places.accuracy == pytest.approx(1)
    assert pictures.asked == 72


def test_where_the_test_part_is_large_no_network_is_run(tmp_path: Path) -> None:
    parts = {Part.TRAIN: 60, Part.VAL: 20, Part.TEST: FEW_EVENTS // 2}
    photos, pictures = photos_of(tmp_path, parts, frames=1), Made()
    hits = {part: np.ones(len(photos.rows[part]), bool) for part in (Part.VAL, Part.TEST)}
    assert expected(photos, hits, pictures, 0) == Expected(None, None)
    assert pictures.asked == 0
