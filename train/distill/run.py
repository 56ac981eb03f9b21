"""Distills a small network for microcontrollers from the trained one, on the same photos.

The teacher sees each augmented view at its own size, the pupil the same view at a smaller one. The
pupil learns three things: the teacher's softened probabilities (Hinton et al. 2015, "Distilling the
Knowledge in a Neural Network"), the labels, and above all the teacher's pooled features, a thousand
numbers per view instead of one per class (Romero et al. 2015, "FitNets"; Chen et al. 2022,
"Knowledge Distillation with the Reused Teacher Classifier"). The pupil starts from the weights of
`train.distill.narrow`.
"""

import resource
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
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
from device.workstation.training import (
    CUTS,
    DATA,
    EVENTS,
    LABELS,
    METRICS,
    NETWORK,
    PREPROCESSING,
    REPORT,
    SPLIT,
    TIMINGS,
    DataRecord,
    DistillSettings,
    Metrics,
    Part,
    PupilEpoch,
    PupilMetrics,
    Rules,
    Teacher,
    Timings,
)
from train.artifacts import read_training
from train.distill.lessons import FEATURES, Lessons, take_lessons
from train.distill.narrow import Shrunk, shrink
from train.errors import TrainingError
from train.network.averaging import AveragedWeights, assign, learning_rates, values
from train.network.backbone import Architecture
from train.network.backbones import DEFAULT
from train.network.limits import MICRO_EPOCHS, SEEDS, VIEWS
from train.network.temperature import Calibrated, calibrate, fold_temperature, logits_before
from train.page.templates import page_environment
from train.recipe.config import check_limits
from train.recipe.evaluate import accuracy
from train.recipe.photos import Photos, read_photos
from train.recipe.truth import EQUAL

Floats = npt.NDArray[np.float32]
Predict = Callable[[npt.NDArray[np.uint8]], Floats]

SHRINK_PHOTOS = 128
PREDICT_BATCH = 32
EMA_DECAY = 0.98
MIN_SPREAD = 1e-6
"""Lowest variance of the teacher's features; avoids a division by 0 if they never change."""
CLIP_NORM = 1.0
MIN_BATCH, MIN_STEPS = 8, 16
"""With few photos batches are smaller, so that an epoch has several steps. With one step per epoch
the warm-up would be one step long, and the next step would destroy the pupil's initial weights."""


@dataclass(frozen=True)
class DistillConfig(DistillSettings):
    """All settings that affect the pupil; file locations are arguments of `run`."""

    architecture: Architecture = field(default_factory=lambda: Architecture(alpha=0.35, size_px=96))
    seed: int = 0
    epochs: int = 30
    views: int = 4
    """Views per photo; each is also used mirrored."""
    batch_size: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    temperature: float = 2.0
    teacher_share: float = 0.7
    """Share of the teacher in the loss on probabilities; the labels have the rest."""
    feature_weight: float = 5.0
    """Weight of the squared distance from the teacher's features, relative to their variance."""

    def __post_init__(self) -> None:
        """Refuse settings that cannot be trained with.

        Raises:
            TrainingError: naming the setting.
        """
        check_limits(self, {"epochs": MICRO_EPOCHS, "views": VIEWS, "seed": SEEDS})

    @property
    def preprocessing(self) -> Preprocessing:
        """The device's rules for this input size."""
        return Preprocessing(self.architecture.size_px, self.architecture.size_px)


@dataclass(frozen=True)
class _Distillation:
    """A distillation: the pupil, its teacher's metrics and lessons, and the photos."""

    config: DistillConfig
    photos: Photos
    metrics: Metrics
    """The teacher's."""
    lessons: Lessons
    shrunk: Shrunk
    """Holds the pupil."""

    @classmethod
    def begin(cls, config: DistillConfig, training: Path) -> "_Distillation":
        metrics, teacher = read_training(training)
        name = metrics.config.architecture.name
        if name != DEFAULT:
            raise TrainingError(
                f"{training}: the network is {name}, and a pupil begins as a reduced copy of "
                f"{DEFAULT}: train with BACKBONE={DEFAULT}"
            )
        # Distillation has its own temperature, which applies to the logits before calibration.
        fold_temperature(teacher, 1 / metrics.calibration.temperature)
        photos = read_photos(DataRecord.read(training / DATA), training)
        rows, small = photos.rows[Part.TRAIN], config.preprocessing
        check_all_taught(metrics.config.train_photos, len(rows))
        lessons = take_lessons(
            teacher, photos.files, rows, small, config.views, config.seed, photos.cuts
        )
        some = lessons.pixels[0, :: max(1, len(rows) // SHRINK_PHOTOS)]
        alpha = metrics.config.architecture.alpha
        shrunk = shrink(teacher, alpha, config.architecture, some)
        return cls(config, photos, metrics, lessons, shrunk)

    @property
    def pupil(self) -> keras.Model:
        return self.shrunk.network

    def pixels(self, part: Part) -> npt.NDArray[np.uint8]:
        return self.photos.pixels(self.photos.rows[part], self.config.preprocessing)


def check_all_taught(most: int, photos: int) -> None:
    """Refuse to teach a pupil from more photos than its teacher may be trained on.

    Args:
        most: photos that the teacher is trained on.
        photos: of the training part.

    Raises:
        TrainingError: if the teacher has learned from a sample.
    """
    if photos > most:
        raise TrainingError(
            f"the network was trained on a sample of {photos:,} training photos "
            f"(TRAIN_PHOTOS={most}), and a pupil learns from all of them, which are held in "
            "memory: for `make micro` give a DATA= with fewer photos"
        )


def run(config: DistillConfig, training: Path, out: Path) -> PupilMetrics:
    """Train the pupil and write the files that `convert` needs.

    Args:
        config: all settings.
        training: the teacher's folder, as `train.recipe.fit` leaves it.
        out: the pupil's folder, of the same form.

    Returns:
        The metrics, as written to `metrics.json`.

    Raises:
        RecordError: if a record of the teacher is missing or damaged.
        BuildFolderError: if the teacher's network is missing or damaged.
        DataError: if its photos are missing or have changed.
    """
    made_by = commit()
    keras.utils.set_random_seed(config.seed)
    started = time.perf_counter()
    distillation = _Distillation.begin(config, training)
    photos, predict = distillation.photos, _predictor(distillation.pupil)
    val, test = distillation.pixels(Part.VAL), distillation.pixels(Part.TEST)
    truth = photos.truth(Part.VAL)

    def validate() -> float:
        return truth.mean(predict(val).argmax(axis=1) == truth.labels)

    history = _train(distillation, validate)
    logits = logits_before(predict(val), 1.0)
    calibrated = calibrate(distillation.pupil, logits, truth.labels, photos.events(Part.VAL))
    metrics = _evaluate(distillation, predict(test), calibrated, history)
    _write(out, training, distillation, metrics)
    peak_mib = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    seconds = {"distillation": round(time.perf_counter() - started, 2)}
    Timings(made_by, seconds, (), (), peak_mib).write(out / TIMINGS)
    # The network last: if it is there, all files are.
    with replacing(out / NETWORK) as path:
        distillation.pupil.save(path)
    return metrics


def _train(distillation: _Distillation, validate: Callable[[], float]) -> tuple[PupilEpoch, ...]:
    """Train every layer of the pupil; leaves the averaged weights of the best epoch in it.

    Args:
        distillation: the pupil, its teacher and its lessons.
        validate: gives the accuracy of the pupil with its current weights.
    """
    config, shrunk, lessons = distillation.config, distillation.shrunk, distillation.lessons
    truth, variables = distillation.photos.truth(Part.TRAIN), distillation.pupil.trainable_variables
    photos = len(truth.labels)
    batch = min(config.batch_size, max(MIN_BATCH, photos // MIN_STEPS), photos)
    steps = photos // batch
    averaged = AveragedWeights(variables)
    step = _step_function(distillation, averaged, steps)
    history: list[PupilEpoch] = []
    best, kept = -1.0, values(variables)
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task(f"{'training the pupil':24}", total=steps * config.epochs)
        for epoch in range(config.epochs):
            losses = []
            for pixels, chosen, logits, features in _batches(config, lessons, epoch, batch, steps):
                taught = features[:, shrunk.features]
                own = truth.of(chosen)
                losses.append(float(step(pixels, own.labels, own.weights, logits, taught)))
                progress.advance(task)
            with averaged.swapped_in() as weights:
                share = validate()
            history.append(PupilEpoch(float(np.mean(losses)), share))
            if share >= best - EQUAL:
                best, kept = share, weights
    assign(variables, kept)
    return tuple(history)


def _batches(
    config: DistillConfig, lessons: Lessons, epoch: int, batch: int, steps: int
) -> Iterator[tuple[Any, Any, Any, Any]]:
    """An epoch's batches of random views: pixels, indices of photos, logits and features."""
    rng = np.random.default_rng([config.seed, epoch])
    views, count = lessons.logits.shape[:2]
    for chosen in rng.permutation(count)[: steps * batch].reshape(steps, batch):
        number = rng.integers(0, views, batch)
        pixels = lessons.pixels[number, chosen]
        if rng.random() < 0.5:
            pixels = pixels[:, :, ::-1]
        yield pixels, chosen, lessons.logits[number, chosen], lessons.features[number, chosen]


def _step_function(
    distillation: _Distillation, averaged: AveragedWeights, steps: int
) -> Callable[..., Any]:
    """The function for one training step, which gives the loss; `steps` is the number per epoch."""
    config, pupil, lessons = distillation.config, distillation.pupil, distillation.lessons
    variables = pupil.trainable_variables
    seen = lessons.features[0].astype(np.float32).var(axis=0)[distillation.shrunk.features]
    spread = max(float(seen.mean()), MIN_SPREAD)
    outputs = [pupil.get_layer(name).output for name in ("logits", FEATURES)]
    network = keras.Model(pupil.input, outputs)
    rate = learning_rates(config.learning_rate, steps * config.epochs, steps)
    optimizer = keras.optimizers.AdamW(rate, weight_decay=config.weight_decay, clipnorm=CLIP_NORM)
    optimizer.build(variables)
    t, share = config.temperature, config.teacher_share

    def step(pixels: Any, labels: Any, weights: Any, teacher: Any, taught: Any) -> Any:
        weights = tf.cast(weights, tf.float32)
        with tf.GradientTape() as tape:
            logits, features = network(pixels, training=True)
            soft = tf.nn.softmax_cross_entropy_with_logits(tf.nn.softmax(teacher / t), logits / t)
            hard = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            off = tf.reduce_mean(features, (1, 2)) - tf.cast(taught, tf.float32)
            loss = tf.reduce_mean(weights * (share * t * t * soft + (1 - share) * hard))
            squares = weights[:, tf.newaxis] * tf.square(off)
            loss += config.feature_weight * tf.reduce_mean(squares) / spread
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        averaged.update(EMA_DECAY)
        return loss

    return tf.function(step, autograph=False, jit_compile=False)  # type: ignore[no-any-return]


def _predictor(network: keras.Model) -> Predict:
    """A function from uint8 (n, h, w, 3) to probabilities by the network's current weights."""
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


def _evaluate(
    distillation: _Distillation,
    found: Floats,
    calibrated: Calibrated,
    history: tuple[PupilEpoch, ...],
) -> PupilMetrics:
    """The pupil's metrics; `found` are its probabilities (n, classes) for the test part."""
    photos, teacher = distillation.photos, distillation.metrics
    truth, events = photos.numbers(Part.TEST), photos.events(Part.TEST)
    return PupilMetrics(
        data=teacher.data,
        config=distillation.config,
        labels=photos.labels,
        teacher=Teacher(teacher.test.accuracy, teacher.config, teacher.pretrained),
        test=accuracy(found.argmax(axis=1) == truth, events),
        calibration=calibrated.record(found, truth, events),
        history=history,
    )


def _write(out: Path, training: Path, distillation: _Distillation, metrics: PupilMetrics) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for name in (SPLIT, EVENTS, CUTS, DATA, LABELS):
        shutil.copyfile(training / name, out / name)
    Rules(distillation.config.preprocessing).write(out / PREPROCESSING)
    metrics.write(out / METRICS)
    template = page_environment(Path(__file__).parent).get_template("pupil.html.j2")
    write_text(out / REPORT, template.render(vars(metrics)) + "\n")
