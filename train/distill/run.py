"""A small network for microcontrollers, taught by the trained one on the same photos.

The teacher looks at each augmented view at its own size, the pupil at the same view at 96x96, and
learns three things: the teacher's softened probabilities (Hinton et al. 2015, "Distilling the
Knowledge in a Neural Network"), the labels, and above all the teacher's pooled features, a thousand
numbers a view instead of one per class (Romero et al. 2015, "FitNets"; Chen et al. 2022, "Knowledge
Distillation with the Reused Teacher Classifier"). The pupil starts as `train.distill.narrow` leaves
it.
"""

import json
import resource
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from rich.console import Console
from rich.progress import Progress

from device.commit import commit
from device.contract.preprocess import Preprocessing
from device.files import replacing, write_text
from train.data.listed import load_listed
from train.data.record import DATA_RECORD, SPLIT, read_record
from train.data.split import Row, part, read_csv
from train.distill.lessons import FEATURES, Lessons, take_lessons
from train.distill.narrow import Shrunk, shrink
from train.network.backbone import Architecture
from train.network.temperature import calibrate, fold_temperature, undo
from train.page.templates import environment
from train.recipe.config import SEEDS, check_limits
from train.recipe.fit import accuracy
from train.report.publish import REPORT, read_training

Floats = npt.NDArray[np.float32]

SHRINK_PHOTOS = 128
PREDICT_BATCH = 32
EMA_DECAY = 0.98
LEAST_SPREAD = 1e-6
"""Of the teacher's features: one that sees the same in every photo teaches none."""
CLIP_NORM = 1.0
LAST_LEARNING_RATE_SHARE = 0.01
LEAST_BATCH, LEAST_STEPS = 8, 16
"""With few photos an epoch has smaller batches, so that it still has some steps: one step an epoch
would be a warm-up of one step, and the next would throw away what the pupil began with."""


@dataclass(frozen=True)
class DistillConfig:
    """Everything that changes the pupil; file locations are arguments of `run`."""

    architecture: Architecture = field(default_factory=lambda: Architecture(alpha=0.35, size_px=96))
    seed: int = 0
    epochs: int = 30
    views: int = 4
    """Views per photo; each is also seen mirrored."""
    batch_size: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    temperature: float = 2.0
    teacher_share: float = 0.7
    """Of the loss on probabilities; the labels have the rest."""
    feature_weight: float = 5.0
    """Of the squared distance from the teacher's features, as a share of their variance."""

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


def run(config: DistillConfig, training: Path, out: Path) -> dict[str, Any]:
    """Train the pupil and write what `convert` needs of it.

    Args:
        config: all settings.
        training: the teacher's folder, as `train.recipe.fit` leaves it.
        out: the pupil's folder, of the same form.

    Returns:
        The metrics, as written to `metrics.json`.

    Raises:
        BuildFolderError: if the teacher is missing or damaged.
        DataError: if its photos are gone or were exchanged.
    """
    made_by = commit()
    keras.utils.set_random_seed(config.seed)
    started = time.perf_counter()
    metrics, teacher = read_training(training)
    # Distillation has a temperature of its own, for logits as fine-tuning left them.
    fold_temperature(teacher, 1 / metrics["calibration"]["temperature"])
    labels = tuple(metrics["labels"])
    rows = read_csv(training / SPLIT)
    folder = Path(read_record(training / DATA_RECORD).folder)
    train_rows, val_rows, test_rows = (part(rows, name) for name in ("train", "val", "test"))
    small = config.preprocessing
    lessons = take_lessons(teacher, folder, train_rows, small, config.views, config.seed)
    some = lessons.pixels[0, :: max(1, len(train_rows) // SHRINK_PHOTOS)]
    alpha = metrics["config"]["architecture"]["alpha"]
    shrunk = shrink(teacher, alpha, config.architecture, some)
    val, test = (_load(folder, chosen, small) for chosen in (val_rows, test_rows))
    val_labels, test_labels = _numbers(val_rows, labels), _numbers(test_rows, labels)
    predict = _predictor(shrunk.network)

    def validate() -> float:
        return float((predict(val).argmax(axis=1) == val_labels).mean())

    history = _train(config, shrunk, lessons, _numbers(train_rows, labels), validate)
    pupil = shrunk.network
    calibrated = calibrate(pupil, undo(predict(val), 1.0), val_labels)
    found = predict(test)
    right = int((found.argmax(axis=1) == test_labels).sum())
    pupil_metrics = {
        "data": metrics["data"],
        "config": asdict(config),
        "labels": list(labels),
        "teacher": {"test": metrics["test"]["accuracy"], "config": metrics["config"]},
        "test": accuracy(right, len(test_rows)),
        "calibration": calibrated.record(found, test_labels),
        "history": history,
    }
    seconds = time.perf_counter() - started
    _write(out, training, pupil, config, pupil_metrics, seconds, made_by)
    return pupil_metrics


def _numbers(rows: Sequence[Row], labels: tuple[str, ...]) -> npt.NDArray[np.int64]:
    return np.array([labels.index(row.label) for row in rows], np.int64)


def _load(folder: Path, rows: Sequence[Row], rules: Preprocessing) -> npt.NDArray[np.uint8]:
    return np.stack([load_listed(folder / row.path, row.sha256, rules) for row in rows])


def _train(
    config: DistillConfig,
    shrunk: Shrunk,
    lessons: Lessons,
    labels: npt.NDArray[np.int64],
    validate: Callable[[], float],
) -> list[dict[str, float]]:
    """Train every layer of the pupil; leaves the averaged weights of the best epoch in it.

    Args:
        labels: int64 (n,), of the lessons' photos.
        validate: gives the accuracy of the weights that are in the pupil now.
    """
    count, variables = len(labels), shrunk.network.trainable_variables
    batch = min(config.batch_size, max(LEAST_BATCH, count // LEAST_STEPS), count)
    steps = count // batch
    averaged = [tf.Variable(variable.value) for variable in variables]
    spread = float(lessons.features[0].astype(np.float32).var(axis=0)[shrunk.features].mean())
    step = _step_function(config, shrunk.network, averaged, steps, max(spread, LEAST_SPREAD))
    history: list[dict[str, float]] = []
    best, kept = -1.0, [variable.numpy() for variable in variables]
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task(f"{'the pupil learns':24}", total=steps * config.epochs)
        for epoch in range(config.epochs):
            losses = []
            for pixels, chosen, logits, features in _batches(config, lessons, epoch, batch, steps):
                taught = features[:, shrunk.features]
                losses.append(float(step(pixels, labels[chosen], logits, taught)))
                progress.advance(task)
            raw = [variable.numpy() for variable in variables]
            _assign(variables, [variable.numpy() for variable in averaged])
            share = validate()
            history.append({"loss": float(np.mean(losses)), "val_accuracy": share})
            if share >= best:
                best, kept = share, [variable.numpy() for variable in variables]
            _assign(variables, raw)
    _assign(variables, kept)
    return history


def _batches(
    config: DistillConfig, lessons: Lessons, epoch: int, batch: int, steps: int
) -> Iterator[tuple[Any, Any, Any, Any]]:
    """Pixels, numbers of photos, logits and features of an epoch's batches: any view, mirrored."""
    rng = np.random.default_rng([config.seed, epoch])
    views, count = lessons.logits.shape[:2]
    for chosen in rng.permutation(count)[: steps * batch].reshape(steps, batch):
        number = rng.integers(0, views, batch)
        pixels = lessons.pixels[number, chosen]
        if rng.random() < 0.5:
            pixels = pixels[:, :, ::-1]
        yield pixels, chosen, lessons.logits[number, chosen], lessons.features[number, chosen]


def _step_function(
    config: DistillConfig, pupil: keras.Model, averaged: list[Any], steps: int, spread: float
) -> Callable[..., Any]:
    variables = pupil.trainable_variables
    outputs = [pupil.get_layer(name).output for name in ("logits", FEATURES)]
    network = keras.Model(pupil.input, outputs)
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

    def step(pixels: Any, labels: Any, teacher: Any, taught: Any) -> Any:
        with tf.GradientTape() as tape:
            logits, features = network(pixels, training=True)
            soft = tf.nn.softmax_cross_entropy_with_logits(tf.nn.softmax(teacher / t), logits / t)
            hard = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            off = tf.reduce_mean(features, (1, 2)) - tf.cast(taught, tf.float32)
            loss = tf.reduce_mean(share * t * t * soft + (1 - share) * hard)
            loss += config.feature_weight * tf.reduce_mean(tf.square(off)) / spread
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        for mean, variable in zip(averaged, variables, strict=True):
            mean.assign_sub((1 - EMA_DECAY) * (mean - variable.value))
        return loss

    return tf.function(step, autograph=False, jit_compile=False)  # type: ignore[no-any-return]


def _predictor(network: keras.Model) -> Callable[[npt.NDArray[np.uint8]], Floats]:
    """From uint8 (n, h, w, 3) to probabilities, with the network's weights at the time."""
    compiled = tf.function(
        lambda pixels: network(pixels, training=False)["probabilities"],
        autograph=False,
        jit_compile=False,
        reduce_retracing=True,
    )

    def predict(pixels: npt.NDArray[np.uint8]) -> Floats:
        parts = range(0, len(pixels), PREDICT_BATCH)
        return np.concatenate([compiled(tf.constant(pixels[i : i + PREDICT_BATCH])) for i in parts])

    return predict


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
    made_by: str,
) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for name in (SPLIT, DATA_RECORD, "labels.txt"):
        shutil.copyfile(training / name, out / name)
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    timings = {
        "commit": made_by,
        "seconds": {"distillation": round(seconds, 2)},
        "peak_memory_mib": round(peak_mib),
    }
    for file, value in (
        ("preprocess.json", config.preprocessing.record()),
        ("metrics.json", metrics),
        ("timings.json", timings),
    ):
        write_text(out / file, json.dumps(value, indent=2) + "\n")
    page = environment(Path(__file__).parent).get_template("pupil.html.j2").render(metrics)
    write_text(out / REPORT, page + "\n")
    # The network last: where it is, everything is.
    with replacing(out / "model.keras") as path:
        pupil.save(path)
