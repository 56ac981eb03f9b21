"""Promises of each class in turn as the stranger: told by what the rest knows, and never stuck."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from convert.artifacts.training import Training
from convert.verify import left_out
from convert.verify.left_out import Shown, fit, leave_out, steps, taught_by
from device.workstation.training import Part

LABELS = ("robin", "wren", "tit", "finch")
FEATURES = 24


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
    rows = leave_out(LABELS, TAUGHT, VALIDATION, TEST)
    assert [row.label for row in rows] == list(LABELS)
    for row in rows:
        assert (row.turned.n, row.turned.events) == (60, 60), "validation photos judge, too"
        assert row.turned.auroc > 0.98 and row.turned.rejected > 0.9 and row.kept > 0.85
        low, high = row.turned.auroc_interval
        assert 0.9 < low <= row.turned.auroc <= high


def test_a_class_that_looks_like_another_is_not_told() -> None:
    parts = (shown(40, 0, (0, 1)), shown(30, 1, (0, 1)), shown(30, 2, (0, 1)))
    found = {row.label: row.turned for row in leave_out(LABELS, *parts)}
    assert found["wren"].rejected < 0.2 and found["wren"].auroc < 0.75
    assert found["wren"].by_score < 0.2 and found["wren"].by_score_auroc < 0.75


def test_photos_of_few_events_widen_the_intervals() -> None:
    few = replace(TEST, events=np.array([f"e{k // 10}" for k in range(len(TEST.truth))]))
    single, grouped = (
        leave_out(LABELS, TAUGHT, VALIDATION, part)[0].turned for part in (TEST, few)
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
    rows = leave_out(LABELS, TAUGHT, VALIDATION, part)
    assert [row.label for row in rows] == ["wren", "finch"]


def test_too_few_validation_events_give_no_rows_and_a_class_without_photos_none() -> None:
    few = VALIDATION.where(np.arange(120) % 30 < 4)
    assert leave_out(LABELS, TAUGHT, few, TEST) == ()
    without = [part.where(part.truth != 1) for part in (VALIDATION, TEST)]
    rows = leave_out(LABELS, TAUGHT, *without)
    assert [row.label for row in rows] == ["robin", "tit", "finch"]


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_class_of_identical_features_is_measured_like_any_other(value: float) -> None:
    parts = []
    for part in (TAUGHT, VALIDATION, TEST):
        features = part.features.copy()
        features[part.truth == 1] = value
        parts.append(replace(part, features=features))
    rows = leave_out(LABELS, *parts)
    assert [row.label for row in rows] == list(LABELS)
    numbers = [(row.kept, row.turned.rejected, row.turned.auroc) for row in rows]
    assert np.isfinite(numbers).all()


def test_the_fitted_layer_names_new_photos() -> None:
    head = fit(TAUGHT, len(LABELS))
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
