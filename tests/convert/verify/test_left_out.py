"""Promises of each class in turn as the stranger: told by what the rest knows, and never stuck."""

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy.special import softmax

from convert.artifacts.exported import Export
from convert.artifacts.training import Training
from convert.quantize.known import known_features
from convert.verify import left_out
from convert.verify.evidence import gather_evidence
from convert.verify.left_out import Shown, fit, leave_out, steps, taught_by
from convert.verify.models import Models
from device.commit import UNKNOWN
from device.workstation.training import Metrics, Part
from tests.support.builds.training_records import pupil_metrics_of

if TYPE_CHECKING:
    from convert.quantize.plan import Plan

LABELS = ("robin", "wren", "tit", "finch")
FEATURES = 24
WHOLE = 0.0
"""No label smoothing."""


def shown(photos: int, seed: int, alike: tuple[int, int] | None = None) -> Shown:
    """Photos of each class, whose features are around an axis of its own.

    Args:
        photos: of each class.
        seed: of the noise.
        alike: the second of these classes is around the first one's axis.
    """
    rng = np.random.default_rng(seed)
    truth = np.repeat(np.arange(len(LABELS)), photos)
    axes = truth.copy()
    if alike:
        axes[truth == alike[1]] = alike[0]
    features = rng.uniform(0, 0.2, (len(truth), FEATURES))
    features[np.arange(len(truth)), axes] += rng.uniform(2, 3, len(truth))
    events = np.array([f"{seed} {k}" for k in range(len(truth))])
    return Shown(truth, features.astype(np.float32), events)


TAUGHT, VALIDATION, TEST = shown(40, 0), shown(30, 1), shown(30, 2)


def test_a_class_that_looks_like_no_other_is_turned_away_and_the_others_are_kept() -> None:
    rows = leave_out(LABELS, TAUGHT, VALIDATION, TEST, WHOLE)
    assert [row.label for row in rows] == list(LABELS)
    for row in rows:
        assert (row.turned.n, row.turned.events) == (60, 60), "validation photos judge, too"
        assert row.turned.auroc > 0.98 and row.turned.rejected > 0.9 and row.kept > 0.85
        low, high = row.turned.auroc_interval
        assert 0.9 < low <= row.turned.auroc <= high


def test_a_class_that_looks_like_another_is_not_told() -> None:
    taught, validation, test = (shown(n, seed, (0, 1)) for n, seed in ((40, 0), (30, 1), (30, 2)))
    rows = leave_out(LABELS, taught, validation, test, WHOLE)
    found = {row.label: row.turned for row in rows}
    assert found["wren"].rejected < 0.2 and found["wren"].auroc < 0.75
    assert found["wren"].by_score < 0.2 and found["wren"].by_score_auroc < 0.75


def test_photos_of_few_events_widen_the_intervals() -> None:
    few = replace(TEST, events=np.array([f"e{k // 10}" for k in range(len(TEST.truth))]))
    single, grouped = (
        leave_out(LABELS, TAUGHT, VALIDATION, part, WHOLE)[0].turned for part in (TEST, few)
    )
    assert grouped.events < single.events and grouped.rejected == single.rejected
    width = [high - low for low, high in (single.interval, grouped.interval)]
    assert width[1] > width[0]


def test_of_many_classes_those_with_the_most_photos_are_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(left_out, "MOST_CLASSES", 2)
    kept = np.flatnonzero(~((TEST.truth == 0) | ((TEST.truth == 2) & (np.arange(120) % 2 == 0))))
    part = TEST.where(np.isin(np.arange(120), kept))
    rows = leave_out(LABELS, TAUGHT, VALIDATION, part, WHOLE)
    assert [row.label for row in rows] == ["wren", "finch"]


def test_too_few_validation_events_give_no_rows_and_a_class_without_photos_none() -> None:
    few = VALIDATION.where(np.arange(120) % 30 < 4)
    assert leave_out(LABELS, TAUGHT, few, TEST, WHOLE) == ()
    limiting, judging = (part.where(part.truth != 1) for part in (VALIDATION, TEST))
    rows = leave_out(LABELS, TAUGHT, limiting, judging, WHOLE)
    assert [row.label for row in rows] == ["robin", "tit", "finch"]


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_class_of_identical_features_is_measured_like_any_other(value: float) -> None:
    parts = []
    for part in (TAUGHT, VALIDATION, TEST):
        features = part.features.copy()
        features[part.truth == 1] = value
        parts.append(replace(part, features=features))
    taught, validation, test = parts
    rows = leave_out(LABELS, taught, validation, test, WHOLE)
    assert [row.label for row in rows] == list(LABELS)
    numbers = [(row.kept, row.turned.rejected, row.turned.auroc) for row in rows]
    assert np.isfinite(numbers).all()


@pytest.mark.parametrize("smoothing", [WHOLE, 0.2])
def test_the_fitted_layer_is_as_sure_as_its_labels(smoothing: float) -> None:
    logits = fit(TAUGHT, len(LABELS), smoothing).logits(TAUGHT.features)
    surest = softmax(logits, axis=1).max(axis=1).mean()
    assert surest == pytest.approx(1 - smoothing * (1 - 1 / len(LABELS)), abs=0.04)


@pytest.mark.parametrize("smoothing", [WHOLE, 0.3])
def test_labels_are_smoothed_as_by_the_recipe_that_the_build_was_made_with(
    smoothing: float,
    tiny_training: Training,
    tiny_network: Any,
    tiny_plan: "Plan",
    tiny_models: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in (
        "evidence.CLUTTER_PICTURES",
        "strangers.CLUTTER_PICTURES",
        "evidence.LAYER_PHOTOS",
    ):
        monkeypatch.setattr(f"convert.verify.{name}", 1)
    asked: list[float] = []

    def noted(shown: Shown, classes: int, label_smoothing: float) -> left_out.Head:
        asked.append(label_smoothing)
        return fit(shown, classes, label_smoothing)

    monkeypatch.setattr(left_out, "fit", noted)
    metrics = tiny_training.metrics
    assert isinstance(metrics, Metrics)
    config = replace(metrics.config, label_smoothing=smoothing)
    training = replace(tiny_training, metrics=replace(metrics, config=config))
    made = tiny_models["model_float32.tflite"], tiny_models["model_int8.tflite"]
    statistics = known_features(training, made[1])
    calibration = training.photos[Part.TRAIN]
    exported = Export(*made, tiny_plan.scales, statistics, 0, calibration, UNKNOWN)
    models = Models.of(training, exported, tiny_network)
    gather_evidence(models, models.classify(Part.TEST), models.classify(Part.VAL))
    assert asked == [smoothing] * len(training.labels)


def test_a_pupil_learned_whole_labels(tiny_training: Training) -> None:
    metrics = tiny_training.metrics
    assert isinstance(metrics, Metrics) and metrics.config.label_smoothing > 0
    pupil = replace(tiny_training, metrics=pupil_metrics_of(metrics))
    assert pupil.label_smoothing == WHOLE


def test_the_fitted_layer_names_new_photos() -> None:
    head = fit(TAUGHT, len(LABELS), WHOLE)
    assert (head.logits(TEST.features).argmax(axis=1) == TEST.truth).mean() > 0.95


def test_with_two_classes_none_is_left_out_and_with_many_photos_some_are_looked_at(
    tiny_training: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = tiny_training.photos[Part.TRAIN]
    assert steps(tiny_training) == len(taught_by(tiny_training)) == len(photos)
    assert steps(replace(tiny_training, labels=tiny_training.labels[:2])) == 0
    monkeypatch.setattr(left_out, "MOST_PHOTOS", 9)
    counts = Counter(photo.label for photo in taught_by(tiny_training))
    assert len(counts) == len(tiny_training.labels) and sum(counts.values()) == 9
