"""Promises of places: photos with one background are found, and photos taken by hand have none."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from tests.support.fixed_cameras import Camera, by_hand, frame, torn_and_merged, visits
from train.data.events import centres, subjects
from train.data.events.copies import joined
from train.data.events.places import by_background
from train.data.events.subjects import same_subjects
from train.data.looks import KeptDetails, Looks, Numbers, Small


def test_fixed_cameras_are_told_apart_by_their_backgrounds() -> None:
    camera = visits(places=4, events=24, frames=3)
    found = by_background(*camera.pictures())
    assert torn_and_merged(found.place.tolist(), camera.places) == (0, 0)
    assert len(found.backgrounds) == 4


def test_names_and_order_do_not_matter() -> None:
    camera = visits(places=2, events=10, frames=3)
    thumbnails, details = camera.pictures()
    order = np.random.default_rng(0).permutation(len(details))
    mixed = by_background(thumbnails[order], details[order])
    assert (mixed.place == by_background(thumbnails, details).place[order]).all()


def test_photos_taken_by_hand_have_no_place() -> None:
    camera = by_hand(120)
    assert (by_background(*camera.pictures()).place == -1).all()


def test_a_place_among_photos_taken_by_hand_takes_none_of_them() -> None:
    camera = by_hand(80)
    for event in range(8):
        camera.visit(1000 + event, 0, 2)
    found = by_background(*camera.pictures())
    assert found.place.tolist() == [-1] * 80 + [0] * 16


def test_a_burst_is_no_place() -> None:
    camera = by_hand(40)
    camera.visit(1000, 0, 5)
    assert (by_background(*camera.pictures()).place == -1).all()


def test_the_light_of_a_place_may_change() -> None:
    camera = Camera()
    for number, light in enumerate(np.linspace(0.4, 1.2, 20)):
        camera.add(frame(0, number, 0.3, 0.05 * number, float(light), number), number, 0)
    assert (by_background(*camera.pictures()).place == 0).all()


def test_white_paper_is_no_place() -> None:
    rng = np.random.default_rng(0)
    details = rng.integers(246, 252, (40, 32, 32, 3)).astype(np.uint8)
    flat = details.reshape(-1, 16, 2, 16, 2, 3).mean((2, 4)).reshape(40, -1)
    flat = flat - flat.mean(1, keepdims=True)
    thumbnails = (flat / np.linalg.norm(flat, axis=1, keepdims=True)).astype(np.float32)
    assert (by_background(thumbnails, details).place == -1).all()


def test_no_photos_have_no_places() -> None:
    found = by_background(np.empty((0, 768), np.float32), np.empty((0, 32, 32, 3), np.uint8))
    assert found.place.shape == (0,) and found.backgrounds.shape == (0, 32, 32, 3)


def test_subjects_of_a_place_with_many_photos_are_those_of_comparing_all(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    camera = visits(places=2, events=12, frames=4)
    thumbnails, details = camera.pictures()
    places, looks = by_background(thumbnails, details), Looks(tmp_path)
    for each in details:
        looks.keep(Small(each[::2, ::2], each))
    kept = KeptDetails(looks, np.arange(len(details)))

    def anything(first: Numbers, second: Numbers) -> npt.NDArray[np.bool_]:
        return np.broadcast_to(first == first, np.broadcast_shapes(first.shape, second.shape))

    compared = same_subjects(details, places, anything)
    monkeypatch.setattr(subjects, "MANY", 2)
    monkeypatch.setattr(centres, "IN_A_CELL", 3)
    searched = same_subjects(kept, places, anything)
    np.testing.assert_array_equal(searched.seen, compared.seen)
    each = np.arange(len(details))
    assert compared.pairs.size
    np.testing.assert_array_equal(joined(each, searched.pairs), joined(each, compared.pairs))
