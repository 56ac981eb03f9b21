"""Records as training would leave them, for a result that a test chooses."""

from collections.abc import Sequence

import numpy as np

from device.contract.look.rules import Region
from device.workstation.training import (
    Accuracy,
    Architecture,
    Calibration,
    ClassFigures,
    DataSet,
    DistillSettings,
    Epoch,
    FitSettings,
    LogLoss,
    Metrics,
    Mistake,
    Pretrained,
    PupilEpoch,
    PupilMetrics,
    Teacher,
    Tested,
    Validated,
)

INTERVAL = (0.8214, 0.9567)


def data_set_of(labels: Sequence[str]) -> DataSet:
    return DataSet(
        kind="photos",
        name="garden",
        description=f"4,380 photos in {len(labels)} classes, folder 'garden'",
        fingerprint="ab" * 32,
        counts={label: {"train": 1400, "val": 30, "test": 30, "left_out": 2} for label in labels},
        events={label: {"train": 1390, "val": 30, "test": 29} for label in labels},
        places={label: {"train": 3, "val": 2, "test": 2} for label in labels},
        occasion_only={},
        event_notes=(),
        region=Region.WHOLE,
        cut={label: {"train": 0, "val": 0, "test": 0} for label in labels},
        region_note="pictures are seen whole: no place of a fixed camera is known",
        correlations={"0.94": 4330, "0.997": 50},
        edited_copies=7,
    )


PRETRAINED = Pretrained(
    "MobileNetV2 1.0", "Sandler et al. 2018", "a-project 1.2.3", "MIT", "cd" * 32
)


def fit_settings(alpha: float = 1.0, size_px: int = 224, seed: int = 0) -> FitSettings:
    return FitSettings(
        architecture=Architecture("mobilenet-v2", alpha, size_px),
        seed=seed,
        epochs=6,
        views=8,
        robust=False,
        train_photos=100_000,
        first_trained_block=13,
        batch_size=32,
        learning_rate=3e-4,
        weight_decay=1e-2,
        label_smoothing=0.1,
        mixup=0.2,
        ema_decay=0.995,
        teacher_share=0.7,
        temperature=2.0,
    )


def metrics_of(
    confusion: Sequence[Sequence[int]], labels: Sequence[str], burst: int = 1
) -> Metrics:
    """Metrics of a fine-tuned network with this result on the test part.

    Args:
        confusion: photos of the test part by true and predicted class.
        labels: the classes.
        burst: photos of each event in the test and validation parts.
    """
    losses = [LogLoss(90, 90 // burst, 0.5, after) for after in (0.4, 0.45)]
    return Metrics(
        data=data_set_of(labels),
        config=fit_settings(),
        pretrained=PRETRAINED,
        teachers=(),
        labels=tuple(labels),
        trained_photos=1400 * len(labels),
        test=tested_of(confusion, labels, burst),
        same_places=None,
        new_places=None,
        validation=Validated(90, 90 // burst, 0.9333, 0.8889),
        calibration=Calibration(1.0, *losses),
        history=(
            Epoch(0, None, 0.41, 0.8889),
            Epoch(1, 0.93, 0.37, 0.9111),
            Epoch(2, 0.85, 0.33, 0.9333),
        ),
        best_epoch=2,
        interrupted=False,
        weight_change={"conv0": 0.0, "block_13": 0.02, "features": 0.01},
    )


def tested_of(confusion: Sequence[Sequence[int]], labels: Sequence[str], burst: int = 1) -> Tested:
    matrix = np.array(confusion)
    right, n = int(np.trace(matrix)), int(matrix.sum())
    pairs = [(i, j) for i, j in zip(*np.nonzero(matrix), strict=True) if i != j]
    per_class = []
    for i, label in enumerate(labels):
        precision = float(matrix[i, i] / max(1, matrix[:, i].sum()))
        recall = float(matrix[i, i] / max(1, matrix[i].sum()))
        f1 = 2 * precision * recall / max(1e-9, precision + recall)
        own = int(matrix[i].sum())
        per_class.append(ClassFigures(label, own, own // burst, precision, recall, f1))
    mistakes = tuple(
        Mistake(f"{labels[i]}/{number}.jpg", labels[i], labels[j], 0.987 - 0.01 * number)
        for number, (i, j) in enumerate(pairs[:24])
    )
    cells = tuple(tuple(row) for row in matrix.tolist())
    return Tested(n, n // burst, right / n, INTERVAL, tuple(per_class), cells, mistakes)


def pupil_metrics_of(teacher: Metrics) -> PupilMetrics:
    """Metrics of a network that was distilled from another."""
    return PupilMetrics(
        data=teacher.data,
        config=DistillSettings(
            architecture=Architecture("mobilenet-v2", 0.35, 96),
            seed=0,
            epochs=30,
            views=4,
            batch_size=64,
            learning_rate=1e-3,
            weight_decay=1e-2,
            temperature=2.0,
            teacher_share=0.7,
            feature_weight=5.0,
        ),
        labels=teacher.labels,
        teacher=Teacher(teacher.test.accuracy, teacher.config, teacher.pretrained),
        test=Accuracy(90, 90, 0.9, INTERVAL),
        calibration=teacher.calibration,
        history=(PupilEpoch(3.0, 0.5), PupilEpoch(2.0, 0.75)),
    )
