"""Fine-tuning: the head first, then the top blocks, both on cached activations."""

import json
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from rich.console import Console
from rich.progress import BarColumn, Progress, TimeRemainingColumn
from scipy.special import log_softmax
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from device.errors import one_line
from device.files import replacing
from train.network.averaging import AveragedWeights, assign, learning_rates
from train.network.cache import Activations
from train.recipe.config import TrainConfig
from train.recipe.draws import Drawn, Step
from train.recipe.truth import EQUAL, Truth

HEAD_STRENGTHS = (0.003, 0.01, 0.03)
"""Inverse regularisation strengths of the logistic regression; validation chooses one."""
HEAD_ITERATIONS = 100
PREDICT_BATCH = 64
WARM_UP_SHARE = 0.1
AVERAGED_FIRST = 9
"""The average's decay after n steps is at most n / (n + this)."""


@dataclass(frozen=True)
class Figures:
    """How good the averaged weights are after an epoch."""

    train_loss: float
    """NaN if only the head is trained."""
    val_loss: float
    """NaN if the weights diverged."""
    val_accuracy: float
    """An event counts once, here and in the loss."""


@dataclass
class TuningState:
    """The progress of fine-tuning: what a resumed run needs, and the best weights so far."""

    epoch: int = 0
    history: list[Figures] = field(default_factory=list)
    best_epoch: int = 0
    """Epochs count from 1; 0 is the new head on the unchanged backbone."""
    best: list[npt.NDArray[Any]] = field(default_factory=list)
    interrupted: bool = False

    @property
    def best_accuracy(self) -> float:
        """Validation accuracy of the kept weights."""
        return self.history[self.best_epoch].val_accuracy

    @property
    def head_only_accuracy(self) -> float:
        """Validation accuracy before any fine-tuning."""
        return self.history[0].val_accuracy


def fit_head(
    features: npt.NDArray[np.float32],
    truth: Truth,
    val_features: npt.NDArray[np.float32],
    val_truth: Truth,
    classes: int,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Fit the best linear classifier on pooled features.

    Args:
        features: float32 (n, channels).
        truth: of these n photos, each class at least once.
        val_features: of the validation part, which chooses the regularisation strength.
        val_truth: of its photos.

    Returns:
        kernel float32 (1, 1, channels, classes) and bias float32 (classes,) of the 1x1
        convolution that gives the same logits when its map is averaged.
    """
    best: tuple[float, Any] | None = None
    for strength in HEAD_STRENGTHS:
        model = LogisticRegression(C=strength, max_iter=HEAD_ITERATIONS)
        with warnings.catch_warnings():
            # Stopping early is an additional regularisation; validation judges the result.
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(features, truth.labels, truth.weights)
        accuracy = val_truth.mean(model.predict(val_features) == val_truth.labels)
        if best is None or accuracy > best[0] + EQUAL:
            best = (accuracy, model)
    assert best is not None
    weights, bias = best[1].coef_, best[1].intercept_
    if classes == 2:
        # scikit-learn gives one logit for two classes; the network has two.
        weights, bias = np.vstack([-weights, weights]) / 2, np.hstack([-bias, bias]) / 2
    return weights.T[None, None].astype(np.float32), bias.astype(np.float32)


class FineTuner:
    """Trains a model from activations to logits, and keeps the best averaged weights.

    AdamW (Loshchilov and Hutter 2019) with linear warm-up and cosine decay, exponential moving
    average of the weights, and mixup of the cached activations alone: a label stays whole, as with
    Inoue's pairs (2018, "Data Augmentation by Pairing Samples"). Blended labels (Zhang et al. 2018)
    and smoothed ones teach a network to lay what it never saw between its classes. Photos count in
    the loss by their weights. All random numbers derive from (seed, epoch), so a resumed run
    continues exactly like an uninterrupted one.

    If a teacher has answered, its softened probabilities for the same views are a target beside the
    labels (Hinton et al. 2015, "Distilling the Knowledge in a Neural Network"), blended like the
    pictures (Beyer et al. 2022, "Knowledge distillation: A good teacher is patient").
    """

    def __init__(
        self,
        model: keras.Model,
        config: TrainConfig,
        views: Drawn,
        truth: Truth,
        val: Activations,
        val_truth: Truth,
        slack: float = 0.0,
        answers: Sequence[Drawn] = (),
    ) -> None:
        """Prepare for `run`.

        Args:
            model: from the cached activations to logits.
            config: all settings.
            views: the activations of the views that the settings draw, of the training part.
            truth: of its photos.
            val: the activations of the validation part.
            val_truth: of its photos.
            slack: how much lower than the best the kept epoch's validation accuracy may be: 0
                keeps the best epoch, more keeps the latest one that is nearly as good.
            answers: logits of each teacher for these views, which are averaged.
        """
        self._slack = slack
        self._answers = answers
        self._model, self._config = model, config
        self._views, self._truth = views, truth
        self._val, self._val_truth = val, val_truth
        self._classes = int(model.output_shape[-1])
        self._draws = views.draws
        steps = self._draws.steps * config.epochs
        warm_up = max(1, round(steps * WARM_UP_SHARE))
        self._optimizer = keras.optimizers.AdamW(
            learning_rates(config.learning_rate, steps, warm_up), weight_decay=config.weight_decay
        )
        self._optimizer.build(model.trainable_variables)
        self._averaged = AveragedWeights(model.trainable_variables)
        self._step = tf.function(self._train_step, autograph=False, jit_compile=False)
        self._predict = tf.function(lambda x: model(tf.cast(x, tf.float32), training=False))

    def run(self, state_path: Path, log: Callable[[int, Figures], None]) -> TuningState:
        """Train all epochs, or the remaining ones of an interrupted run; the model keeps the best.

        Args:
            state_path: .npz that is written after each epoch and read at the start.
            log: called with each finished epoch and its figures.
        """
        tuned = self._restore(state_path) or self._begin()
        with _InterruptOnce() as interrupted, _progress_bar() as progress:
            steps = self._draws.steps
            total, completed = steps * self._config.epochs, steps * tuned.epoch
            task = progress.add_task("", total=total, completed=completed)
            while tuned.epoch < self._config.epochs and not interrupted():
                progress.stop()
                with interrupted.at_once():
                    self._prepare_views(tuned.epoch)
                progress.start()
                if interrupted():
                    break
                describe(progress, task, tuned, self._config.epochs)
                loss = self._train_epoch(tuned.epoch, lambda: progress.advance(task), interrupted)
                if interrupted():
                    break
                tuned.epoch += 1
                self._validate(tuned, loss)
                log(tuned.epoch, tuned.history[-1])
                self._save(state_path, tuned)
            describe(progress, task, tuned, self._config.epochs)
            tuned.interrupted = interrupted()
        assign(self._model.trainable_variables, tuned.best)
        return tuned

    def logits(self, activations: Activations) -> npt.NDArray[np.float32]:
        """float32 (n, classes) for cached activations, with the model's current weights."""
        parts = range(0, len(activations), PREDICT_BATCH)
        return np.concatenate(
            [self._predict(activations[i : i + PREDICT_BATCH]).numpy() for i in parts]
        )

    def _prepare_views(self, epoch: int) -> None:
        """Compute an epoch's views and answers now, since they show their own progress bars."""
        for known in (self._views, *self._answers):
            known.prepare(epoch)

    def _begin(self) -> TuningState:
        tuned = TuningState()
        self._validate(tuned, float("nan"))
        return tuned

    def _train_epoch(
        self, epoch: int, advance: Callable[[], None], interrupted: Callable[[], bool]
    ) -> float:
        losses = []
        for step in self._draws.epoch(epoch):
            if interrupted():
                break
            x = self._views.rows(step.photos, step.views)
            truth, told = self._truth.of(step.photos), self._logits_of_teachers(step)
            blend = step.partners, step.shares
            losses.append(self._step(x, truth.labels, truth.weights, *blend, told))
            advance()
        return float(np.mean(losses)) if losses else float("nan")

    def _logits_of_teachers(self, step: Step) -> npt.NDArray[np.float32]:
        """float32 (n, classes), their mean for each example; (n, 0) without a teacher."""
        if not self._answers:
            return np.zeros((len(step.photos), 0), np.float32)
        told = [answers.rows(step.photos, step.views) for answers in self._answers]
        return np.asarray(np.mean(told, axis=0, dtype=np.float32))

    def _train_step(
        self,
        x: tf.Tensor,
        labels: tf.Tensor,
        weights: tf.Tensor,
        partner: tf.Tensor,
        share: tf.Tensor,
        told: tf.Tensor,
    ) -> tf.Tensor:
        x = tf.cast(x, tf.float32)
        smoothing = self._config.label_smoothing
        y = tf.one_hot(labels, self._classes) * (1 - smoothing) + smoothing / self._classes
        wide = share[:, :, None, None]
        x = x * (1 - wide) + tf.gather(x, partner) * wide
        weights = tf.cast(weights, tf.float32)
        variables = self._model.trainable_variables
        soft = tf.nn.softmax(told / self._config.temperature)
        soft = soft * (1 - share) + tf.gather(soft, partner) * share
        with tf.GradientTape() as tape:
            losses = self._losses(self._model(x, training=True), y, soft)
            loss = tf.reduce_mean(weights * losses)
        self._optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        # In the first steps the average covers fewer steps (like TensorFlow's `num_updates`).
        taken = tf.cast(self._optimizer.iterations, tf.float32)
        decay = tf.minimum(self._config.ema_decay, taken / (taken + AVERAGED_FIRST))
        self._averaged.update(decay)
        return loss

    def _losses(self, logits: tf.Tensor, y: tf.Tensor, soft: tf.Tensor) -> tf.Tensor:
        """float32 (n,): of the labels `y`, and of a teacher's probabilities if there is one."""
        hard = tf.nn.softmax_cross_entropy_with_logits(y, logits)
        if not self._answers:
            return hard
        t, share = self._config.temperature, self._config.teacher_share
        taught = tf.nn.softmax_cross_entropy_with_logits(soft, logits / t)
        # Gradients of softened probabilities are smaller by the square of the temperature.
        return share * t * t * taught + (1 - share) * hard

    def _validate(self, tuned: TuningState, train_loss: float) -> None:
        """Measure the averaged weights on the validation part; keep them if good enough."""
        with self._averaged.swapped_in() as averaged:
            logits = self.logits(self._val)
        truth = self._val_truth
        accuracy = truth.mean(logits.argmax(axis=1) == truth.labels)
        likelihood = log_softmax(logits, axis=1)[np.arange(len(logits)), truth.labels]
        val_loss = -truth.mean(likelihood)
        tuned.history.append(Figures(train_loss, val_loss, accuracy))
        # Diverged (NaN) weights always name one class, which may be right as often as others.
        finite = [each.val_accuracy for each in tuned.history if np.isfinite(each.val_loss)]
        # If equal, the later epoch wins: its learning rate is lower.
        good = np.isfinite(val_loss) and accuracy >= max(finite) - EQUAL - self._slack
        if not tuned.best or good:
            tuned.best_epoch, tuned.best = tuned.epoch, averaged

    def _state(self) -> list[Any]:
        weights = self._model.trainable_variables
        return [*weights, *self._averaged.variables, *self._optimizer.variables]

    def _save(self, path: Path, tuned: TuningState) -> None:
        record = {
            "epoch": tuned.epoch,
            "history": [asdict(figures) for figures in tuned.history],
            "best_epoch": tuned.best_epoch,
        }
        arrays: dict[str, Any] = {f"state_{i}": np.asarray(v) for i, v in enumerate(self._state())}
        arrays |= {f"best_{i}": value for i, value in enumerate(tuned.best)}
        with replacing(path) as part:
            np.savez(part, record=np.array(json.dumps(record)), **arrays)

    def _restore(self, path: Path) -> TuningState | None:
        """The state that an interrupted run saved; a damaged file is reported and ignored."""
        if not path.exists():
            return None
        try:
            with np.load(path, allow_pickle=False) as saved:
                tuned = _read_state(json.loads(str(saved["record"])))
                count = len(self._model.trainable_variables)
                tuned.best = [saved[f"best_{i}"] for i in range(count)]
                state = [saved[f"state_{i}"] for i in range(len(self._state()))]
            if [value.shape for value in state] != [tuple(v.shape) for v in self._state()]:
                raise ValueError("it belongs to another network")
        except (OSError, EOFError, ValueError, LookupError, TypeError, BadZipFile) as error:
            print(
                f"{path}: damaged ({one_line(error)}); fine-tuning starts from the head again",
                file=sys.stderr,
            )
            return None
        assign(self._state(), state)
        return tuned


def _read_state(record: dict[str, Any]) -> TuningState:
    """Read the record of a saved state; weights are added later."""
    history = [Figures(**figures) for figures in record["history"]]
    return TuningState(record["epoch"], history, record["best_epoch"])


class _InterruptOnce:
    """Records the first Ctrl-C for the loop to check; a second one interrupts as usual."""

    def __enter__(self) -> "_InterruptOnce":
        self._seen = self._at_once = False
        self._before = signal.getsignal(signal.SIGINT)
        signal.signal(signal.SIGINT, self._note)
        return self

    def __call__(self) -> bool:
        return self._seen

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """A context in which Ctrl-C stops the running code at once."""
        self._at_once = True
        with suppress(KeyboardInterrupt):
            yield
        self._at_once = False

    def _note(self, *_: object) -> None:
        self._seen = True
        signal.signal(signal.SIGINT, self._before)
        Console(stderr=True).print("stopping: the best epoch so far is kept")
        if self._at_once:
            raise KeyboardInterrupt

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._before)


def _progress_bar() -> Progress:
    columns = ("{task.description:38}", BarColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True))


def describe(progress: Progress, task: Any, tuned: TuningState, epochs: int) -> None:
    """Show the epoch and the best validation accuracy so far on the progress bar."""
    best = f"best val {tuned.best_accuracy:.1%}"
    text = f"fine-tuning, epoch {tuned.epoch}/{epochs}, {best}"
    progress.update(task, description=text)
