"""Promises of the statistics of features: what is known of each class, from the training photos."""

from dataclasses import replace

import numpy as np
import pytest

from convert.artifacts.training import Training
from convert.quantize.known import Floats, feature_statistics, known_features
from device.contract.statistics import MAX_BYTES, FeatureStatistics
from device.inference.classifier import Classifier
from device.workstation.conversion import INT8_MODEL
from device.workstation.training import Part
from tests.support.pictures import LABELS, RULES

FEATURES, CLASSES, STEP = 40, 3, 1 / 64


def sample(
    photos: int, classes: int = CLASSES, features: int = FEATURES
) -> tuple[Floats, list[int]]:
    """Classes that are clearly apart, each with a wide spread along the first two features."""
    rng = np.random.default_rng(photos)
    labels = [k % classes for k in range(photos)]
    spread = np.where(np.arange(features) < 2, 4.0, 0.5)
    apart = np.random.default_rng(1).normal(0, 3, (classes, features))
    rows = apart[labels] + spread * rng.standard_normal((photos, features))
    return rows.astype(np.float32), labels


def alone(photos: int) -> list[str]:
    """Each photo an event of its own."""
    return [f"event {k}" for k in range(photos)]


def statistics_of(photos: int) -> FeatureStatistics:
    rows, labels = sample(photos)
    return feature_statistics(rows, labels, alone(photos), STEP)


def test_distances_are_mahalanobis_s_with_the_covariance_that_classes_share() -> None:
    rows, labels = sample(600)
    found = feature_statistics(rows, labels, alone(600), STEP)
    means = np.stack([rows[np.array(labels) == c].mean(axis=0) for c in range(CLASSES)])
    off = (rows - means[labels]).astype(np.float64)
    covariance = off.T @ off / (600 - CLASSES) + STEP**2 / 12 * np.eye(FEATURES)
    for row in sample(9)[0]:
        away = row - means
        exact = np.sqrt((away @ np.linalg.inv(covariance) * away).sum(axis=1).min())
        assert found.distance(row) == pytest.approx(exact, rel=0.01)


def test_what_shows_no_known_class_is_farther_than_what_does() -> None:
    found = statistics_of(300)
    known = [found.distance(row) for row in sample(60)[0]]
    strange = [found.distance(row + 6) for row in sample(60)[0]]
    assert min(strange) > max(known)


def test_photos_of_one_event_count_as_one() -> None:
    rows, labels = sample(60)
    once = feature_statistics(rows, labels, alone(60), STEP)
    many = [0, *range(60), *[0] * 30]
    events = [alone(60)[k] for k in many]
    again = feature_statistics(rows[many], [labels[k] for k in many], events, STEP)
    np.testing.assert_allclose(again.center, once.center, rtol=1e-5)
    np.testing.assert_allclose(again.directions, once.directions, atol=1e-3)


def test_a_class_of_equal_photos_is_near_itself_and_far_from_others() -> None:
    rows, labels = sample(60)
    rows[np.array(labels) == 1] = rows[1]
    found = feature_statistics(rows, labels, alone(60), STEP)
    assert found.distance(rows[1]) < 0.1
    assert found.distance(rows[1] + 9) > 5


@pytest.mark.parametrize("photos", [CLASSES, CLASSES + 1])
def test_classes_of_one_photo_have_statistics(photos: int) -> None:
    rows, labels = sample(photos)
    found = feature_statistics(rows, labels, alone(photos), STEP)
    assert np.isfinite(found.directions).all() and found.directions.shape[1] >= 1
    assert all(np.isfinite(found.distance(row)) for row in rows)


def test_photos_that_are_all_equal_have_statistics() -> None:
    rows = np.zeros((9, FEATURES), np.float32)
    found = feature_statistics(rows, sample(9)[1], alone(9), 1e-9)
    assert found.distance(rows[0]) == 0 and np.isfinite(found.distance(rows[0] + 1))


@pytest.mark.parametrize("classes", [2, 100, 1000])
def test_the_file_is_small_however_many_classes_there_are(classes: int) -> None:
    rows, labels = sample(classes + 100, classes, features=1280)
    found = feature_statistics(rows, labels, alone(classes + 100), STEP)
    assert 20_000 < len(found.content()) <= MAX_BYTES


def test_what_the_file_says_is_what_was_computed() -> None:
    made = statistics_of(90)
    read = FeatureStatistics.read(made.content(), CLASSES)
    for name in ("mean", "directions", "center"):
        np.testing.assert_array_equal(getattr(read, name), getattr(made, name))
    assert statistics_of(90).content() == made.content()


def test_the_int8_model_s_own_features_are_taken_of_all_training_photos(
    tiny_training: Training, tiny_models: dict[str, bytes]
) -> None:
    steps: list[None] = []
    model = tiny_models[INT8_MODEL]
    found = known_features(tiny_training, model, lambda: steps.append(None))
    photos = tiny_training.photos[Part.TRAIN]
    classifier = Classifier(model, LABELS, RULES, statistics=found)
    distances = [classifier.classify(tiny_training.pixels(photo)).distance for photo in photos]
    strange = np.random.default_rng(0).integers(0, 256, RULES.shape, np.uint8)
    assert len(steps) == len(photos) and found.center.shape == (1280,)
    assert max(d for d in distances if d is not None) < (classifier.classify(strange).distance or 0)


def test_a_photo_that_was_given_another_event_changes_nothing_else(
    tiny_training: Training, tiny_models: dict[str, bytes]
) -> None:
    photos = tiny_training.photos[Part.TRAIN]
    same = tuple(replace(photo, event=f"other {k}") for k, photo in enumerate(photos))
    renamed = replace(tiny_training, photos={**tiny_training.photos, Part.TRAIN: same})
    model = tiny_models[INT8_MODEL]
    found, expected = known_features(renamed, model), known_features(tiny_training, model)
    assert found.content() == expected.content()
