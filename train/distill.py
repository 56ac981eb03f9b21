"""A small network for microcontrollers, taught by the trained one on the same photos.

The teacher looks at each augmented view at its own size, the pupil at the same view at 96x96, and
learns the teacher's softened probabilities along with the labels (Hinton et al. 2015, "Distilling
the Knowledge in a Neural Network"). The pupil starts as `train.shrink` leaves it.
"""

import json
import resource
import shutil
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from rich.console import Console
from rich.progress import Progress

from device.files import replacing, write_text
from device.preprocess import Pixels, Preprocessing, decode, read_photo
from train.backbone import Architecture
from train.config import SEEDS, check_limits
from train.data import DATA_RECORD, SPLIT, listed, load_listed, read_record
from train.fit import accuracy
from train.pages import environment
from train.publish import REPORT, read_training
from train.shrink import shrink
from train.split import Row, part, read_csv
from train.temperature import calibrate, fold_temperature, undo
from train.views import view

Floats = npt.NDArray[np.float32]

SHRINK_PHOTOS = 128
PREDICT_BATCH = 32
EMA_DECAY = 0.98
CLIP_NORM = 1.0
LAST_LEARNING_RATE_SHARE = 0.01
LEAST_BATCH, LEAST_STEPS = 8, 16
"""With few photos an epoch has smaller batches, so that it still has some steps: one step an epoch
would be a warm-up of one step, and the next would throw away what the pupil began with."""
VIEW_BYTES = 1024**3
"""The pupil's views are kept in memory, as many per photo as fit into this."""


@dataclass(frozen=True)
class DistillConfig:
    """Everything that changes the pupil; file locations are arguments of `run`."""

    architecture: Architecture = field(default_factory=lambda: Architecture(alpha=0.35, size_px=96))
    seed: int = 0
    epochs: int = 45
    views: int = 3
    """Views per photo; each is also seen mirrored."""
    batch_size: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    temperature: float = 2.0
    teacher_share: float = 0.7
    """Of the loss; the labels have the rest."""

    def __post_init__(self) -> None:
        """Refuse settings that cannot be trained with.

        Raises:
            TrainingError: naming the setting.
        """
        check_limits(self, {"epochs": (1, 1000), "views": (1, 64), "seed": SEEDS})

    @property
    def preprocessing(self) -> Preprocessing:
        """The device's rules for this input size."""
        return Preprocessing(self.architecture.size_px, self.architecture.size_px)


@dataclass(frozen=True)
class Lessons:
    """What the pupil learns from."""

    pixels: npt.NDArray[np.uint8]
    """(views, n, size, size, 3)."""
    logits: Floats
    """(views, n, classes), the teacher's."""
    labels: npt.NDArray[np.int64]


def run(config: DistillConfig, training: Path, out: Path) -> dict[str, Any]:
    """Train the pupil and write what `convert` needs of it.

    Args:
        config: all settings.
        training: the teacher's folder, as `train.fit` leaves it.
        out: the pupil's folder, of the same form.

    Returns:
        The metrics, as written to `metrics.json`.

    Raises:
        BuildFolderError: if the teacher is missing or damaged.
        DataError: if its photos are gone.
    """
    keras.utils.set_random_seed(config.seed)
    started = time.perf_counter()
    metrics, teacher = read_training(training)
    # Distillation has a temperature of its own, for logits as fine-tuning left them.
    fold_temperature(teacher, 1 / metrics["calibration"]["temperature"])
    labels = tuple(metrics["labels"])
    rows = read_csv(training / SPLIT)
    folder = Path(read_record(training / DATA_RECORD).folder)
    train_rows, val_rows, test_rows = (part(rows, name) for name in ("train", "val", "test"))
    lessons = _lessons(config, teacher, folder, train_rows, labels)
    val = _load(folder, val_rows, config.preprocessing)
    alpha = metrics["config"]["architecture"]["alpha"]
    pupil = shrink(
        teacher, alpha, config.architecture, lessons.pixels[0, :: _stride(len(train_rows))]
    )
    val_labels, test_labels = _numbers(val_rows, labels), _numbers(test_rows, labels)
    history = _train(config, pupil, lessons, val, val_labels)
    calibrated = calibrate(pupil, undo(_predict(pupil, val), 1.0), val_labels)
    test = _predict(pupil, _load(folder, test_rows, config.preprocessing))
    right = int((test.argmax(axis=1) == test_labels).sum())
    pupil_metrics = {
        "data": metrics["data"],
        "config": asdict(config),
        "labels": list(labels),
        "teacher": {"test": metrics["test"]["accuracy"], "config": metrics["config"]},
        "test": accuracy(right, len(test_rows)),
        "calibration": calibrated.record(test, test_labels),
        "history": history,
    }
    seconds = time.perf_counter() - started
    _write(out, training, pupil, config, pupil_metrics, seconds)
    return pupil_metrics


def _stride(count: int) -> int:
    return max(1, count // SHRINK_PHOTOS)


def _numbers(rows: Sequence[Row], labels: tuple[str, ...]) -> npt.NDArray[np.int64]:
    return np.array([labels.index(row.label) for row in rows], np.int64)


def _lessons(
    config: DistillConfig,
    teacher: keras.Model,
    folder: Path,
    rows: Sequence[Row],
    labels: tuple[str, ...],
) -> Lessons:
    """Each photo's views at the pupil's size, with what the teacher says of them at its own."""
    size, large = config.architecture.size_px, teacher.input_shape[1]
    small, own = config.preprocessing, Preprocessing(large, large)
    views = max(1, min(config.views, VIEW_BYTES // (len(rows) * size * size * 3)))
    pixels = np.empty((views, len(rows), size, size, 3), np.uint8)
    logits = np.empty((views, len(rows), len(labels)), np.float32)
    look = tf.function(
        lambda x: tf.reduce_mean(teacher(x, training=False)["class_map"], (1, 2)),
        jit_compile=False,
    )

    def both(job: tuple[int, Row]) -> tuple[Pixels, Pixels]:
        number, row = job
        seed = int(row.sha256[:12], 16) ^ config.seed
        with listed(folder / row.path) as path:
            image = decode(read_photo(path), own)
            return view(image, small, number, seed), view(image, own, number, seed)

    starts = range(0, len(rows), PREDICT_BATCH)
    with (
        Progress(console=Console(stderr=True)) as progress,
        ThreadPoolExecutor(2) as pool,
    ):
        task = progress.add_task(f"{'the teacher looks':24}", total=views * len(starts))
        for number in range(views):
            for start in starts:
                chosen = slice(start, start + PREDICT_BATCH)
                pairs = list(pool.map(both, [(number, row) for row in rows[chosen]]))
                pixels[number, chosen] = [pair[0] for pair in pairs]
                logits[number, chosen] = look(np.stack([pair[1] for pair in pairs])).numpy()
                progress.advance(task)
    return Lessons(pixels, logits, _numbers(rows, labels))


def _load(folder: Path, rows: Sequence[Row], rules: Preprocessing) -> npt.NDArray[np.uint8]:
    return np.stack([load_listed(folder / row.path, rules) for row in rows])


def _train(
    config: DistillConfig,
    pupil: keras.Model,
    lessons: Lessons,
    val: npt.NDArray[np.uint8],
    val_labels: npt.NDArray[np.int64],
) -> list[dict[str, float]]:
    """Train every layer of the pupil; leaves the averaged weights of the best epoch in it."""
    count, variables = len(lessons.labels), pupil.trainable_variables
    batch = min(config.batch_size, max(LEAST_BATCH, count // LEAST_STEPS), count)
    steps = count // batch
    averaged = [tf.Variable(variable.value) for variable in variables]
    step = _step_function(config, pupil, averaged, steps)
    history: list[dict[str, float]] = []
    best, kept = -1.0, [variable.numpy() for variable in variables]
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task(f"{'the pupil learns':24}", total=steps * config.epochs)
        for epoch in range(config.epochs):
            rng = np.random.default_rng([config.seed, epoch])
            order, losses = rng.permutation(count), []
            for start in range(0, steps * batch, batch):
                chosen = order[start : start + batch]
                number = rng.integers(0, len(lessons.pixels), batch)
                pixels = lessons.pixels[number, chosen]
                if rng.random() < 0.5:
                    pixels = pixels[:, :, ::-1]
                losses.append(
                    float(step(pixels, lessons.logits[number, chosen], lessons.labels[chosen]))
                )
                progress.advance(task)
            raw = [variable.numpy() for variable in variables]
            _assign(variables, [variable.numpy() for variable in averaged])
            share = float((_predict(pupil, val).argmax(axis=1) == val_labels).mean())
            history.append({"loss": float(np.mean(losses)), "val_accuracy": share})
            if share >= best:
                best, kept = share, [variable.numpy() for variable in variables]
            _assign(variables, raw)
    _assign(variables, kept)
    return history


def _step_function(
    config: DistillConfig, pupil: keras.Model, averaged: list[Any], steps: int
) -> Callable[..., Any]:
    variables = pupil.trainable_variables
    rate = keras.optimizers.schedules.CosineDecay(
        config.learning_rate / 100,
        max(1, steps * config.epochs - steps),
        alpha=LAST_LEARNING_RATE_SHARE,
        warmup_target=config.learning_rate,
        warmup_steps=steps,
    )
    optimizer = keras.optimizers.AdamW(rate, weight_decay=config.weight_decay, clipnorm=CLIP_NORM)
    optimizer.build(variables)
    t, share = config.temperature, config.teacher_share

    def step(pixels: Any, teacher: Any, labels: Any) -> Any:
        with tf.GradientTape() as tape:
            logits = tf.reduce_mean(pupil(pixels, training=True)["class_map"], (1, 2))
            soft = tf.nn.softmax_cross_entropy_with_logits(tf.nn.softmax(teacher / t), logits / t)
            hard = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            loss = tf.reduce_mean(share * t * t * soft + (1 - share) * hard)
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        for mean, variable in zip(averaged, variables, strict=True):
            mean.assign_sub((1 - EMA_DECAY) * (mean - variable.value))
        return loss

    return tf.function(step, autograph=False, jit_compile=False)  # type: ignore[no-any-return]


def _predict(network: keras.Model, pixels: npt.NDArray[np.uint8]) -> Floats:
    parts = range(0, len(pixels), PREDICT_BATCH)
    return np.concatenate(
        [network(pixels[i : i + PREDICT_BATCH], training=False)["probabilities"] for i in parts]
    )


def _assign(variables: Sequence[Any], values: Sequence[npt.NDArray[Any]]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _write(
    out: Path,
    training: Path,
    pupil: keras.Model,
    config: DistillConfig,
    metrics: dict[str, Any],
    seconds: float,
) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for name in (SPLIT, DATA_RECORD, "labels.txt"):
        shutil.copyfile(training / name, out / name)
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    timings = {"seconds": {"distillation": round(seconds, 2)}, "peak_memory_mib": round(peak_mib)}
    for file, value in (
        ("preprocess.json", config.preprocessing.record()),
        ("metrics.json", metrics),
        ("timings.json", timings),
    ):
        write_text(out / file, json.dumps(value, indent=2) + "\n")
    page = environment().get_template("pupil.html.j2").render(metrics)
    write_text(out / REPORT, page + "\n")
    # The network last: where it is, everything is.
    with replacing(out / "model.keras") as path:
        pupil.save(path)
