"""Promises of the training photos in a bundle: few that cover much, small, pixels and no more."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from convert.artifacts.training import LabelledPhoto, Training
from convert.pack import thumbnails
from convert.pack.thumbnails import SIDES_PX, ranked, small
from device.contract import bundle as contract
from device.contract.thumbnails import record, webp
from device.contract.thumbnails.record import Thumbnails
from device.inference.classifier import Classifier
from device.workstation.training import Part


def photo(name: str, event: str = "") -> LabelledPhoto:
    return LabelledPhoto(f"a/{name}.jpg", 0, name, event or name, "")


def at(*degrees: float) -> npt.NDArray[np.float32]:
    angle = np.radians(degrees[0])
    return np.array([np.cos(angle), np.sin(angle)], np.float32)


# --- which ones -----------------------------------------------------------------------------------


def test_those_come_first_that_resemble_most_photos() -> None:
    near = {photo(f"near{i}"): at(i) for i in range(-4, 5)}
    far = {photo(f"far{i}"): at(60 + i) for i in range(4)}
    odd = {photo("odd"): at(180)}
    places = {**near, **far, **odd}
    order = ranked(list(places), places)
    assert order[0] in near and order[1] in far
    assert len(set(order)) == len(order) == len(places)
    assert order[2] == photo("odd"), "of the rest nobody else is far from these"


def test_the_photos_of_one_event_count_as_one() -> None:
    burst = {photo(f"burst{i}", "one"): at(90 + i / 10) for i in range(9)}
    single = {photo(f"single{i}"): at(i) for i in range(4)}
    places = {**burst, **single}
    assert ranked(list(places), places)[0] in single
    apart = {replace(each, event=each.sha256): place for each, place in places.items()}
    assert ranked(list(apart), apart)[0].sha256.startswith("burst")


def test_the_order_in_which_photos_are_found_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    places = {photo(f"{i:03}"): at(rng.uniform(0, 90)) for i in range(100)}
    shuffled = [list(places)[i] for i in rng.permutation(100)]
    assert ranked(shuffled, places) == ranked(list(places), places)


# --- in a bundle ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made(tiny_training: Training, tiny_bundle: Path) -> Thumbnails:
    bundle = contract.load(tiny_bundle)
    return thumbnails.thumbnails(tiny_training, Classifier.from_bundle(bundle), bundle.statistics)


def test_all_classes_are_shown_as_the_network_sees_their_training_photos(
    made: Thumbnails, tiny_training: Training
) -> None:
    photos = tiny_training.photos[Part.TRAIN]
    assert set(made.labels) == {photo.label for photo in photos}
    seen = {small(tiny_training.pixels(photo), SIDES_PX[0]): photo.label for photo in photos}
    assert [seen[picture] for picture in made.pictures] == list(made.labels)
    assert len(made.content()) <= record.MAX_BYTES


def test_a_frame_that_shows_a_photo_is_nearest_to_it(
    made: Thumbnails, tiny_training: Training, tiny_bundle: Path
) -> None:
    classifier = Classifier.from_bundle(contract.load(tiny_bundle))
    for photo in tiny_training.photos[Part.TRAIN]:
        pixels = tiny_training.pixels(photo)
        classifier.classify(pixels)
        first = made.nearest(classifier.features())[0]
        assert made.pictures[first] == small(pixels, SIDES_PX[0])


def test_they_hold_pixels_alone(made: Thumbnails) -> None:
    for picture in made.pictures:
        assert max(webp.size_px(picture)) == SIDES_PX[0]
    assert not [word for word in (b"EXIF", b"XMP", b".png", b"train_") if word in made.content()]


@pytest.mark.parametrize("side", SIDES_PX)
def test_where_few_of_each_class_would_not_fit_they_are_smaller(
    tiny_training: Training,
    tiny_bundle: Path,
    monkeypatch: pytest.MonkeyPatch,
    side: int,
) -> None:
    room = _bytes_of_few(tiny_training, side)
    monkeypatch.setattr(thumbnails, "MAX_BYTES", thumbnails.OVERHEAD_BYTES + room)
    bundle = contract.load(tiny_bundle)
    found = thumbnails.thumbnails(tiny_training, Classifier.from_bundle(bundle), bundle.statistics)
    assert {max(webp.size_px(picture)) for picture in found.pictures} == {side}
    assert min(found.labels.count(label) for label in set(found.labels)) >= thumbnails.FEW


def _bytes_of_few(training: Training, side_px: int) -> int:
    """Room for a few of each class at this size."""
    sizes = [len(small(training.pixels(photo), side_px)) for photo in training.photos[Part.TRAIN]]
    return 3 * thumbnails.FEW * (max(sizes) + 100)
