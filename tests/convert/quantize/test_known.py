"""Promises of the statistics of features: what is known of each class, from the training photos."""

from dataclasses import replace

import numpy as np
import pytest

from convert.artifacts.training import Training
from convert.quantize.known import (
    Floats,
    Seen,
    feature_statistics,
    known_features,
    photos_seen,
    taught,
)
from device.contract.statistics import MAX_BYTES, FeatureStatistics
from device.inference.classifier import Classifier
from device.workstation.conversion import INT8_MODEL
from device.workstation.training import Part
from tests.support.pictures import LABELS, RULES

FEATURES, CLASSES = 40, 3


def sample(photos: int, features: int = FEATURES, seed: int = 0) -> Floats:
    """Features that lie along the first three axes, but for a little noise."""
    rng = np.random.default_rng([seed, photos])
    rows = np.zeros((photos, features))
    rows[:, :3] = rng.uniform(1, 3, (photos, 3))
    return np.asarray(rows + 0.01 * rng.standard_normal(rows.shape), np.float32)


def alone(photos: int) -> list[str]:
    """Each photo an event of its own."""
    return [f"event {k}" for k in range(photos)]


def statistics_of(photos: int) -> FeatureStatistics:
    return feature_statistics(sample(photos), alone(photos), CLASSES)


def test_the_directions_are_orthogonal_of_length_1_and_the_first_ones_are_along_the_photos() -> (
    None
):
    found = statistics_of(600).directions
    assert found.shape == (FEATURES, FEATURES)
    np.testing.assert_allclose(found.T @ found, np.eye(FEATURES), atol=0.01)
    assert (np.linalg.norm(found[:3, :3], axis=0) > 0.99).all()


def test_what_shows_other_features_is_farther_outside_than_what_does_not() -> None:
    found = statistics_of(20)
    assert found.directions.shape[1] == 5, "fewer photos have fewer directions"
    known = [found.outside(row) for row in sample(60, seed=1)]
    strange = [found.outside(np.roll(row, 9)) for row in sample(60, seed=1)]
    assert min(strange) > 0.5 > 0.01 > max(known)


def test_photos_of_one_event_count_as_one() -> None:
    rows = sample(60)
    once = feature_statistics(rows, alone(60), CLASSES)
    many = [0, *range(60), *[0] * 30]
    again = feature_statistics(rows[many], [alone(60)[k] for k in many], CLASSES)
    np.testing.assert_allclose(again.directions[:, :3], once.directions[:, :3], atol=1e-3)


@pytest.mark.parametrize("photos", [1, CLASSES, CLASSES + 1])
def test_few_photos_have_one_direction(photos: int) -> None:
    found = statistics_of(photos)
    assert np.isfinite(found.directions).all() and found.directions.shape == (FEATURES, 1)


def test_photos_that_are_all_equal_have_statistics_and_so_have_those_without_features() -> None:
    for rows in (np.ones((40, FEATURES), np.float32), np.zeros((40, FEATURES), np.float32)):
        found = feature_statistics(rows, alone(40), CLASSES)
        assert found.directions.shape == (FEATURES, 1) and np.isfinite(found.directions).all()
    assert statistics_of(40).outside(np.zeros(FEATURES, np.float32)) == 1


@pytest.mark.parametrize("classes", [2, 100, 1000])
def test_the_file_is_small_however_many_classes_there_are(classes: int) -> None:
    found = feature_statistics(sample(400, features=1280), alone(400), classes)
    assert 20_000 < len(found.content()) <= MAX_BYTES


def test_what_the_file_says_is_what_was_computed() -> None:
    made = statistics_of(90)
    read = FeatureStatistics.read(made.content(), CLASSES)
    for name in ("directions", "usual", "classes"):
        np.testing.assert_array_equal(getattr(read, name), getattr(made, name))
    assert statistics_of(90).content() == made.content()


def test_the_int8_model_s_own_features_are_taken_of_all_training_photos(
    tiny_training: Training, tiny_models: dict[str, bytes]
) -> None:
    steps: list[None] = []
    model = tiny_models[INT8_MODEL]
    found = known_features(tiny_training, model, lambda: steps.append(None))
    photos = tiny_training.photos[Part.TRAIN]
    classifier, outside = Classifier(model, LABELS, RULES), []
    strange = np.random.default_rng(0).integers(0, 256, RULES.shape, np.uint8)
    for pixels in (*map(tiny_training.pixels, photos), strange):
        classifier.classify(pixels)
        outside.append(found.outside(classifier.features()))
    assert len(steps) == len(photos) and len(found.directions) == 1280
    assert max(outside[:-1]) < outside[-1]


def test_a_photo_that_was_given_another_event_changes_nothing_else(
    tiny_training: Training, tiny_models: dict[str, bytes]
) -> None:
    photos = tiny_training.photos[Part.TRAIN]
    same = tuple(replace(photo, event=f"other {k}") for k, photo in enumerate(photos))
    renamed = replace(tiny_training, photos={**tiny_training.photos, Part.TRAIN: same})
    model = tiny_models[INT8_MODEL]
    found, expected = known_features(renamed, model), known_features(tiny_training, model)
    assert found.content() == expected.content()


def strangers(photos: int, axis: int, seed: int = 0) -> Floats:
    """Features of known photos that show a little of something else, too."""
    rows = sample(photos, seed=100 + seed)
    rows[:, axis] += 0.4
    return rows


def test_what_is_like_a_stranger_that_taught_is_farther_outside_and_other_strangers_are_not() -> (
    None
):
    known, validation = Seen(sample(200), alone(200)), Seen(sample(90, seed=2), alone(90))
    before = feature_statistics(known.features, known.events, CLASSES)
    found = taught(before, known, Seen(strangers(30, 3), alone(30)), validation)
    gains = {
        name: np.median([found.outside(row) - before.outside(row) for row in rows])
        for name, rows in (
            ("known", sample(60, seed=3)),
            ("like these", strangers(60, 3, seed=1)),
            ("others", strangers(60, 4, seed=1)),
        )
    }
    assert gains["like these"] > gains["known"]
    assert abs(gains["others"] - gains["known"]) < (gains["like these"] - gains["known"]) / 4
    np.testing.assert_array_equal(found.directions, before.directions)


def test_strangers_of_one_event_teach_as_much_as_one() -> None:
    known, validation = Seen(sample(200), alone(200)), Seen(sample(90, seed=2), alone(90))
    before, rows = statistics_of(200), strangers(30, 3)
    once = taught(before, known, Seen(rows, alone(30)), validation).taught
    many = [0, *range(30), *[0] * 20]
    again = taught(before, known, Seen(rows[many], [alone(30)[k] for k in many]), validation).taught
    assert once is not None and again is not None
    np.testing.assert_allclose(again, once, atol=2e-3 * float(np.abs(once).max()))


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_features_that_are_all_equal_teach_nothing_wrong(value: float) -> None:
    same = Seen(np.full((40, FEATURES), value, np.float32), alone(40))
    before = feature_statistics(same.features, same.events, CLASSES)
    found = taught(before, same, same, same)
    assert found.taught is not None and np.isfinite(found.taught).all()
    assert found.outside(same.features[0]) == pytest.approx(before.outside(same.features[0]))


def test_strangers_teach_by_the_int8_model_s_own_features(
    tiny_training: Training, tiny_models: dict[str, bytes]
) -> None:
    steps: list[None] = []
    strange = tiny_training.photos[Part.TEST][:4]
    teaching = replace(tiny_training, strangers={Part.TRAIN: strange})
    found = known_features(teaching, tiny_models[INT8_MODEL], lambda: steps.append(None))
    assert len(steps) == photos_seen(teaching) > photos_seen(tiny_training)
    plain = known_features(tiny_training, tiny_models[INT8_MODEL])
    assert plain.taught is None and found.taught is not None
    judged = replace(tiny_training, strangers={Part.TEST: strange})
    again = known_features(judged, tiny_models[INT8_MODEL])
    assert again.content() == plain.content(), "those that judge teach nothing"
