"""Promises of the audit about events: each counts once, and what was torn apart is told."""

import time
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from tests.train.curate.test_audit import LABELS, PER_CLASS, Floats, garden, row, unit
from train.curate.alike import find_alike
from train.curate.apart import events_apart
from train.curate.audit import mislabels, nearest, outliers
from train.curate.findings import Finding
from train.curate.removals import removals
from train.curate.strips import FRAMES, duration, strips
from train.data.split import Row

FRAMES_OF_A_BURST = 60


def with_burst(number: int, frames: int) -> tuple[list[Row], Floats]:
    """The garden, with `frames` frames of photo 0, which is in the wrong class."""
    rows, features = garden({0: "rose"})
    burst = [replace(rows[number], path=f"rose/burst {i}.jpg") for i in range(frames)]
    near = np.repeat(features[number : number + 1], frames, axis=0)
    noise = np.random.default_rng(1).normal(0, 1e-3, near.shape)
    return rows + burst, np.concatenate([features, unit(near + noise)])


# --- an event counts once -------------------------------------------------------------------------


def test_a_burst_in_the_wrong_class_is_one_suspect_with_all_its_photos() -> None:
    rows, features = with_burst(0, FRAMES_OF_A_BURST)
    found, quality = mislabels(rows, LABELS, features)
    (burst,) = [finding for finding in found if rows[0].path in finding.paths]
    assert len(burst.paths) == 1 + FRAMES_OF_A_BURST and burst.suggested == "daisy"
    assert quality and quality.n == quality.events + FRAMES_OF_A_BURST


def test_a_burst_changes_no_verdict_on_other_photos() -> None:
    alone, _ = mislabels(*_garden())
    with_frames, quality = mislabels(*_garden(FRAMES_OF_A_BURST))
    assert [f.paths[0] for f in alone] == [f.paths[0] for f in with_frames]
    for one, other in zip(alone, with_frames, strict=True):
        assert one.score == pytest.approx(other.score, abs=0.02)
        assert one.neighbours == pytest.approx(other.neighbours)
    assert quality and quality.accuracy == pytest.approx(_judged(), abs=0.01)


def _garden(frames: int = 0) -> tuple[list[Row], tuple[str, ...], Floats]:
    rows, features = with_burst(0, frames)
    return rows, LABELS, features


def _judged() -> float:
    quality = mislabels(*_garden())[1]
    assert quality
    return quality.accuracy


def test_of_a_suspected_burst_all_training_photos_are_removed_together() -> None:
    rows = [replace(row(i, "rose"), group="burst") for i in range(3)]
    rows += [row(100 + i, "rose") for i in range(60)]
    sure = Finding("mislabel", tuple(r.path for r in rows[:3]), 0.95, "tulip", 1.0)
    assert [removal.path for removal in removals(rows, [sure])] == [r.path for r in rows[:3]]


def test_neighbours_are_of_other_events_and_each_of_another() -> None:
    rows, features = with_burst(1, FRAMES_OF_A_BURST)
    groups = [r.group for r in rows]
    train = np.array([r.part == "train" for r in rows])
    found, cosines = nearest(features, groups, train)
    for i, near in enumerate(found.tolist()):
        events = [groups[j] for j in near]
        assert len(set(events)) == len(events) and groups[i] not in events
    assert (np.diff(cosines, axis=1) <= 0).all()


def test_a_strange_burst_is_one_outlier() -> None:
    rows, features = with_burst(0, 0)
    strange = [replace(row(900, "rose"), path=f"rose/s{i}.jpg") for i in range(5)]
    odd = np.repeat(np.eye(8)[7:8], 5, axis=0)
    found = outliers([*rows, *strange], np.concatenate([features, odd]).astype(np.float32))
    assert set(found[0].paths) == {r.path for r in strange}
    assert len(found) == -(-(3 * PER_CLASS + 1) // 100)


def test_near_copies_of_one_event_are_one_finding() -> None:
    rng = np.random.default_rng(4)
    thumbs, features = unit(rng.normal(size=(6, 768))), unit(rng.normal(size=(6, 64)))
    for i in (1, 3, 5):
        thumbs[i], features[i] = thumbs[i - 1], features[i - 1]
    rows = [replace(row(i, "rose"), group="one" if i < 4 else "two") for i in range(6)]
    found = find_alike(rows, thumbs, features)
    assert [len(finding.paths) for finding in found] == [4, 2]
    mixed = [replace(r, label="tulip") if i % 2 else r for i, r in enumerate(rows)]
    assert [f.kind for f in find_alike(mixed, thumbs, features)] == ["contradiction"] * 3


# --- events that stand apart by mistake -----------------------------------------------------------

SUBJECTS, CHANNELS = 40, 256


def fixed_camera(cut: set[int], frames: int = 4) -> tuple[list[Row], Floats]:
    """Events of `frames` frames before one background; those in `cut` were torn in two."""
    rng = np.random.default_rng(5)
    background = rng.normal(size=CHANNELS)
    rows: list[Row] = []
    vectors: list[npt.NDArray[np.float64]] = []
    for subject in range(SUBJECTS):
        looks = rng.normal(size=CHANNELS)
        for frame in range(frames):
            torn = subject in cut and frame >= frames // 2
            name = f"{subject:02}{'x' * frame}"
            one = row(subject * 10 + frame, "deer", "train", name=name)
            part = "test" if torn and subject % 2 else "train"
            rows.append(replace(one, group=f"{subject}{'b' if torn else ''}", part=part))
            vectors.append(3 * background + looks + 0.4 * rng.normal(size=CHANNELS))
    return rows, unit(np.array(vectors))


def apart(rows: list[Row], features: Floats) -> list[set[str]]:
    found = events_apart(rows, features)
    by_path = {r.path: r.group for r in rows}
    return [{by_path[path] for path in finding.paths} for finding in found]


def test_the_pieces_of_an_event_are_found_before_a_background_that_all_share() -> None:
    rows, features = fixed_camera({3, 8, 20})
    assert float((features @ features.T).min()) > 0.8, "all look alike"
    found = apart(rows, features)
    assert sorted(map(sorted, found)) == [["20", "20b"], ["3", "3b"], ["8", "8b"]]


def test_those_on_two_sides_of_the_split_come_first() -> None:
    rows, features = fixed_camera({2, 3, 8})
    assert apart(rows, features)[0] == {"3", "3b"}


def test_what_no_rule_joined_at_all_is_found_too() -> None:
    rows, features = fixed_camera(set())
    alone = [replace(r, group=str(i)) for i, r in enumerate(rows)]
    found = apart(alone, features)
    told = set().union(*found)
    assert len(told) > 0.9 * len(alone)
    assert all(len({int(event) // 4 for event in group}) == 1 for group in found)


def test_photos_of_two_known_places_are_not_of_one_occasion() -> None:
    rows, features = fixed_camera({3})
    placed = [replace(r, place="left" if r.group == "3b" else "right") for r in rows]
    assert apart(placed, features) == []


def test_neighbours_in_time_need_less_likeness() -> None:
    rows, features = fixed_camera({3})
    torn = [i for i, r in enumerate(rows) if r.group == "3b"]
    noise = np.random.default_rng(6).normal(size=(1, CHANNELS)) / CHANNELS**0.5
    features[torn] = unit(features[torn] + 0.35 * noise)
    rows = [replace(r, path=f"deer/{'y' * i}.jpg") for i, r in enumerate(rows)]
    assert apart(taken_every(1.0, rows), features) == [{"3", "3b"}]
    assert apart(taken_every(3600.0, rows), features) == []


def taken_every(step_s: float, rows: list[Row]) -> list[Row]:
    return [replace(r, seconds=step_s * i) for i, r in enumerate(rows)]


@pytest.mark.parametrize("events", [0, 1, 2, 5])
def test_few_events_are_compared_with_one_another(events: int) -> None:
    rows, features = fixed_camera(set())
    assert apart(rows[: 4 * events], features[: 4 * events]) == []


def test_large_events_that_are_all_alike_cost_no_time_and_say_nothing() -> None:
    """As 3,000 frames of one film would; pair by pair this would take minutes."""
    rng = np.random.default_rng(7)
    rows = [replace(row(i, "deer"), group=str(i % 2)) for i in range(3000)]
    features = unit(
        rng.normal(size=(2, 64))[np.arange(3000) % 2] + rng.normal(size=(3000, 64)) / 99
    )
    started_s = time.process_time()
    assert apart(rows, features) == []
    assert time.process_time() - started_s < 60


# --- strips ---------------------------------------------------------------------------------------


def test_the_largest_events_come_first_and_single_photos_are_no_strip() -> None:
    rows = [replace(row(i, "rose"), group="ab"[i % 5 == 0]) for i in range(10)]
    rows += [row(50 + i, "tulip") for i in range(5)]
    found = strips(rows)
    assert [(strip.event, len(strip.paths)) for strip in found] == [("a", 8), ("b", 2)]
    assert found[0].labels == ("rose",) and found[0].lasts_s is None


@pytest.mark.parametrize("count", [2, FRAMES - 1, FRAMES, FRAMES + 1, 500])
def test_a_strip_shows_a_few_photos_from_the_first_to_the_last(count: int) -> None:
    rows = [replace(row(i, "rose", name=f"frame_{i}"), group="film") for i in range(count)]
    (strip,) = strips(rows)
    numbers = [int(path.rpartition("_")[2][:-4]) for path in strip.shown]
    assert len(numbers) == min(count, FRAMES) and numbers == sorted(set(numbers))
    assert (numbers[0], numbers[-1]) == (0, count - 1), "frame_9 comes before frame_10"


def test_photos_with_times_are_in_their_order() -> None:
    rows = [replace(row(i, "rose"), group="visit") for i in range(4)]
    timed = [replace(r, seconds=100.0 - 20 * i) for i, r in enumerate(rows)]
    (strip,) = strips(timed)
    assert list(strip.paths) == [r.path for r in reversed(rows)] and strip.lasts_s == 60
    (unsure,) = strips([rows[0], *timed[1:]])
    assert list(unsure.paths) == [r.path for r in rows] and unsure.lasts_s is None


def test_durations_are_for_people() -> None:
    assert [duration(s) for s in (14, 600, 9000)] == ["14 s", "10 min", "2.5 h"]
