"""Promises of events: clocks, names and pictures together tear none apart and make no two one."""

from collections.abc import Sequence
from datetime import UTC, datetime
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from device.contract.moments import Moment
from tests.support.fixed_cameras import Camera, by_hand, frame, torn_and_merged, visits
from train.data.events.finding import Events, find_events
from train.data.events.groups import group

NOON = datetime(2024, 5, 1, 12, 0, 7, tzinfo=UTC).timestamp()
DAY_S = 86_400
NOTHING = Moment()


def names(count: int) -> list[str]:
    """Names that tell nothing; the same in every run, which `hash` of words is not."""
    chance = Random(0)
    return [f"fox/{chance.randrange(10**9):09d}x.jpg" for _ in range(count)]


def found(
    camera: Camera,
    moments: Sequence[Moment] = (),
    paths: Sequence[str] = (),
    places: Sequence[str] = (),
) -> Events:
    count = len(camera.events)
    return find_events(
        paths or names(count),
        moments or [NOTHING] * count,
        camera.pictures(),
        range(count),
        places=places,
    )


def wrong(events: Events, camera: Camera) -> tuple[int, int]:
    return torn_and_merged(events.grouping.roots.tolist(), camera.events)


def timed(camera: Camera, gap_s: float = 2, unique: bool = False) -> list[Moment]:
    """Each event on a day of its own."""
    frames: dict[int, int] = {}
    moments = []
    for event, place in zip(camera.events, camera.places, strict=True):
        frames[event] = frames.get(event, -1) + 1
        seconds = NOON + DAY_S * event + gap_s * frames[event]
        model = f"Trap no. {place}" if unique else "Trap"
        moments.append(Moment(model, unique, seconds=seconds))
    return moments


@settings(max_examples=8, deadline=None)
@given(st.integers(1, 4), st.integers(6, 14), st.integers(1, 6), st.booleans())
def test_with_a_clock_events_are_exact(places: int, events: int, frames: int, own: bool) -> None:
    camera = visits(places, events, frames)
    assert wrong(found(camera, timed(camera, unique=own)), camera) == (0, 0)


def test_without_clock_and_names_the_subject_tells_events_apart() -> None:
    camera = visits(places=3, events=30, frames=6)
    torn, merged = wrong(found(camera), camera)
    assert torn == 0 and merged <= 1


def test_empty_pictures_of_other_days_are_other_events() -> None:
    camera = by_hand(100)
    for event in range(100, 104):
        for number in range(3):
            picture = frame(0, -1, 0, 0, 0.9, 10 * event + number)
            camera.add(picture, event, 0)
    assert wrong(found(camera, timed(camera)), camera) == (0, 0)
    plain = group(*camera.pictures(), range(112)).roots.tolist()
    assert torn_and_merged(plain, camera.events) == (0, 3)


def test_names_that_count_frames_join_what_pictures_cannot() -> None:
    camera = Camera()
    rng = np.random.default_rng(3)
    paths = []
    for event in range(10):
        for number in range(3):
            x, y = rng.uniform(0, 1, 2)
            light = float(rng.uniform(0.6, 1.1))
            camera.add(frame(event % 2, 100 * event + number, x, y, light, number), event, 0)
            paths.append(f"fox/visit{event}_{number}.jpg")
    assert wrong(found(camera, paths=paths), camera) == (0, 0)
    assert wrong(found(camera), camera)[0] == 10


def test_numbers_that_follow_one_another_join_a_subject_that_turns() -> None:
    camera = Camera()
    paths: list[str] = []
    for event in range(12):
        x, y = np.random.default_rng(event).uniform(0, 1, 2)
        for number in range(4):
            light = 0.75 + 0.1 * number
            seen, turned = (
                frame(event % 2, subject, x, y, light, 10 * event + number)
                for subject in (event, 100 + 10 * event + number)
            )
            camera.add(Image.blend(seen, turned, 0.45), event, event % 2)
            paths.append(f"{'fox' if event % 4 < 2 else 'owl'}/IMG_{len(paths):04d}.jpg")
    torn, merged = wrong(found(camera, paths=paths), camera)
    assert torn == 0 and merged <= 1
    unnumbered = [path[:4] + name[4:] for path, name in zip(paths, names(48), strict=True)]
    assert wrong(found(camera, paths=unnumbered), camera)[0] > 2


def test_numbers_join_no_different_subjects_at_one_place() -> None:
    camera = visits(places=1, events=30, frames=1)
    paths = [f"fox/fox_{number:03d}.jpg" for number in range(30)]
    assert wrong(found(camera, paths=paths), camera)[1] <= 1


def test_numbered_kinds_of_a_data_set_are_no_films() -> None:
    camera = by_hand(40)
    paths = [f"fox/kind{i // 20}_{i % 20:04d}.jpg" for i in range(40)]
    events = found(camera, paths=paths)
    assert wrong(events, camera) == (0, 0)
    assert "no frames of a film: 40 photos" in " ".join(events.notes)


def test_a_clock_that_puts_frames_days_apart_is_believed_more_than_names() -> None:
    camera = visits(places=1, events=8, frames=1)
    paths = [f"fox/plant7_{i}.jpg" for i in range(8)]
    assert wrong(found(camera, timed(camera), paths), camera) == (0, 0)


def test_a_standing_clock_leaves_it_to_the_pictures_and_says_so() -> None:
    camera = visits(places=3, events=24, frames=6)
    events = found(camera, [Moment("Trap", seconds=NOON)] * len(camera.events))
    torn, merged = wrong(events, camera)
    assert torn == 0 and merged <= 1
    assert any("stands still" in note for note in events.notes)


def test_two_cameras_of_one_model_at_one_time_are_two_events() -> None:
    camera = visits(places=2, events=20, frames=4)
    moments = [
        Moment("Trap", seconds=NOON + DAY_S * (event // 2) + i % 4)
        for i, event in enumerate(camera.events)
    ]
    assert wrong(found(camera, moments), camera) == (0, 0)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000), st.integers(2, 60))
def test_photos_each_an_event_of_its_own_are_grouped_as_by_pictures_alone(
    seed: int, photos: int
) -> None:
    camera = by_hand(photos, 100 * seed)
    for i in range(0, photos, 7):
        camera.thumbnails.append(camera.thumbnails[i])
        camera.details.append(camera.details[i])
        camera.events.append(i)
    events = found(camera, timed(by_hand(0)))
    plain = group(*camera.pictures(), range(len(camera.events)))
    assert (events.grouping.roots == plain.roots).all()
    assert (events.grouping.thresholds == plain.thresholds).all()
    assert set(events.places) == {""}


def test_places_are_named_by_user_then_by_fixed_camera_then_by_background() -> None:
    camera = visits(places=2, events=12, frames=2)
    said = ["pond" if i < 4 else "" for i in range(24)]
    unique = [
        Moment("Trap no. 0", place == 0) if place == 0 else NOTHING for place in camera.places
    ]
    places = found(camera, unique, places=said).places
    assert set(places[:4]) == {"pond"}
    by_truth = {
        place: {n for n, p in zip(places[4:], camera.places[4:], strict=True) if p == place}
        for place in (0, 1)
    }
    assert by_truth[0] == {"Trap no. 0"} and len(by_truth[1]) == 1
    assert next(iter(by_truth[1])).startswith("background")


def test_a_camera_in_the_hand_is_no_place() -> None:
    camera = by_hand(20)
    assert set(found(camera, [Moment("Canon no. 5", True)] * 20).places) == {""}


def test_damaged_exif_is_one_line() -> None:
    camera = by_hand(5)
    paths = [f"fox/odd\n{number}.jpg" for number in range(5)]
    notes = found(camera, [Moment(problem="damaged")] * 5, paths).notes
    assert len(notes) == 1 and "damaged" in notes[0] and "5 photos" in notes[0]
    assert "\n" not in notes[0] and "odd\\n0.jpg" in notes[0]


def test_one_long_event_is_no_fixed_camera_to_others() -> None:
    camera = by_hand(60)
    for _ in range(2):
        camera.add(frame(9, -1, 0, 0, 1, 1), 60, -1)
    camera.visit(61, 0, 60)
    moments = [NOTHING] * 62 + [Moment("x", True, seconds=NOON + i) for i in range(60)]
    assert wrong(found(camera, moments), camera) == (0, 0)


@pytest.mark.parametrize("alike", [True, False])
def test_ten_thousand_photos_need_little_time_and_memory(alike: bool) -> None:
    count = 10_000
    rng = np.random.default_rng(0)
    details = rng.integers(0, 256, (1 if alike else count, 4, 4, 3)).astype(np.uint8)
    details = np.repeat(np.repeat(details, 8, 1), 8, 2)
    details = np.broadcast_to(details, (count, 32, 32, 3))
    flat = details[:, ::2, ::2].reshape(count, -1).astype(np.float32)
    flat = flat - flat.mean(1, keepdims=True)
    thumbnails = flat / np.linalg.norm(flat, axis=1, keepdims=True)
    moments = [
        Moment("x", True, seconds=NOON + 3 * i * (1 if alike else 100)) for i in range(count)
    ]
    events = find_events(names(count), moments, (thumbnails, details), range(count))
    assert len(set(events.grouping.roots.tolist())) == (1 if alike else count)
