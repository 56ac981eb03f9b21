"""The files of `build/train`: what training writes, for its report and for conversion.

The folder of the network for microcontrollers, `build/micro/train`, holds the same files.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import ClassVar, Literal

from device.contract.look.rules import Region
from device.contract.preprocess import Preprocessing
from device.files import write_text
from device.workstation.expected import NewPlaces, SamePlaces
from device.workstation.photo_files import PhotoFiles
from device.workstation.records import Record, RecordError, read_table

DATA = "data.json"
SPLIT = "split.csv"
EVENTS = "events.csv"
"""The events and places of the photos."""
CUTS = "cuts.csv"
"""Where photos are cut."""
STRANGERS = "strangers.csv"
"""Photos that show none of the classes."""
LABELS = "labels.txt"
PREPROCESSING = "preprocess.json"
NETWORK = "model.keras"
METRICS = "metrics.json"
TIMINGS = "timings.json"
REPORT = "report.html"
AUDIT = "audit.json"
AUDIT_PAGE = "audit.html"
NEW_PHOTOS_PAGE = "new.html"
"""Of photos from devices that wait to be reviewed."""
REPORT_PLACE = ("<!-- quantization -->", "<!-- /quantization -->")
"""Between these, training's report has room for the section on quantization."""


class Part(StrEnum):
    """What a photo of the split is for."""

    TRAIN = "train"
    VAL = "val"
    TEST = "test"


LEFT_OUT = "left_out"
"""The split's entry for a photo that is in no part."""


# --- the photos -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class DataSet:
    """The photos that everything downstream was made from, but not where they are stored."""

    kind: Literal["photos", "rendered"]
    name: str
    description: str
    """One line for every report."""
    fingerprint: str
    """SHA-256 over the sorted digests and classes of all files."""
    counts: Mapping[str, Mapping[str, int]]
    """Photos by class and part."""
    events: Mapping[str, Mapping[str, int]]
    """Events by class and part; one that several classes or parts share counts for each."""
    places: Mapping[str, Mapping[str, int]]
    """Known places by class and part, counted likewise."""
    occasion_only: Mapping[str, int]
    """Classes with too few events to learn from some and be judged by others, and how many more are
    needed. All their figures hold for their one or two occasions only."""
    event_notes: tuple[str, ...]
    """Lines for people on how events and places were found, and what was no evidence."""
    region: Region
    """What of a picture the network is trained to see."""
    cut: Mapping[str, Mapping[str, int]]
    """Photos by class and part that are cut to where something is; the others are whole."""
    region_note: str
    """A line for people on what is seen, why, and of how many photos."""
    correlations: Mapping[str, int]
    """How many of the photos that judge and teach were grouped with what is from this correlation
    on nearly identical to them."""
    edited_copies: int
    """Photos grouped with another that they are an edited copy of, or that is one of them."""

    def photos(self, without: Collection[str] = ()) -> int:
        """Photos of all parts, but of some classes."""
        return sum(sum(of.values()) for label, of in self.counts.items() if label not in without)


@dataclass(frozen=True)
class DataRecord(Record):
    """`data.json`: the photos, and where they are on this machine."""

    SCHEMA: ClassVar[int] = 5
    MADE_BY: ClassVar[str] = "make data"

    folder: str
    films: str | None
    """Where frames of films are kept; None without films."""
    index: str | None
    """Where the index of shards is kept, of which `folder` is the address; None for a folder."""
    data: DataSet

    @property
    def files(self) -> PhotoFiles:
        """Finds the photos."""
        return PhotoFiles.recorded(self.folder, self.films, self.index)


# --- settings -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Architecture:
    """Which network it is."""

    name: str
    """Of its backbone, as `make BACKBONE=` takes it."""
    alpha: float
    """Width multiplier."""
    size_px: int
    """Height and width of the input."""


@dataclass(frozen=True)
class Pretrained:
    """The network that training began with, and where its ImageNet weights come from."""

    title: str
    """Of the network, as its paper writes it, with its width if it has several."""
    paper: str
    """Authors and year."""
    source: str
    """Where the weights come from."""
    licence: str
    """Of the weights, as their source states it (SPDX)."""
    sha256: str
    """Of the weights, folded."""


@dataclass(frozen=True)
class FitSettings:
    """What a network was fine-tuned with; `train.recipe.config` says what each setting means."""

    architecture: Architecture
    seed: int
    epochs: int
    views: int
    robust: bool
    train_photos: int
    first_trained_block: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    label_smoothing: float
    mixup: float
    ema_decay: float
    teacher_share: float
    temperature: float


@dataclass(frozen=True)
class DistillSettings:
    """What a pupil was taught with; `train.distill.run` says what each setting means."""

    architecture: Architecture
    seed: int
    epochs: int
    views: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    temperature: float
    teacher_share: float
    feature_weight: float


# --- results --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Accuracy:
    """The share of photos that were classified correctly."""

    n: int
    events: int
    """Occasions at which the n photos were taken."""
    accuracy: float
    interval: tuple[float, float]
    """95%, by event: for other events of this kind, not for other photos of these."""


@dataclass(frozen=True)
class ClassFigures:
    """How well one class is told from the others; all from 0 to 1."""

    label: str
    n: int
    events: int
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class Mistake:
    """A test photo that was taken for another class."""

    path: str
    """Relative to the data folder."""
    label: str
    predicted: str
    score: float


@dataclass(frozen=True)
class Tested(Accuracy):
    """A network's results on the test part."""

    per_class: tuple[ClassFigures, ...]
    confusion: tuple[tuple[int, ...], ...]
    """Photos, by true class (row) and predicted class (column)."""
    mistakes: tuple[Mistake, ...]
    """The surest ones first; not all of them if there are many."""


@dataclass(frozen=True)
class Validated:
    """Accuracy on the validation part, with and without fine-tuning; an event counts once."""

    n: int
    events: int
    accuracy: float
    head_only_accuracy: float


@dataclass(frozen=True)
class LogLoss:
    """What one temperature did to the mean log loss of a part, in nats; an event counts once."""

    n: int
    events: int
    before: float
    after: float


@dataclass(frozen=True)
class Calibration:
    """The temperature that was folded into the head."""

    temperature: float
    validation: LogLoss
    """The part that it was fitted on."""
    test: LogLoss


@dataclass(frozen=True)
class Epoch:
    """The figures of one epoch; 0 is the head alone. An event counts once."""

    epoch: int
    train_loss: float | None
    """None for the head alone, and if it is not a number."""
    val_loss: float | None
    """None if it is not a number."""
    val_accuracy: float


@dataclass(frozen=True)
class Teacher:
    """The network that a pupil learned from."""

    test_accuracy: float
    config: FitSettings
    pretrained: Pretrained


@dataclass(frozen=True)
class Metrics(Record):
    """`metrics.json` of a fine-tuned network."""

    SCHEMA: ClassVar[int] = 8
    MADE_BY: ClassVar[str] = "make train"

    data: DataSet
    config: FitSettings
    pretrained: Pretrained
    teachers: tuple[Teacher, ...]
    """Of whose answers it learned; empty without any."""
    labels: tuple[str, ...]
    trained_photos: int
    """Of the training part; fewer than it has if it has more than `config.train_photos`."""
    test: Tested
    same_places: SamePlaces | None
    """Of the float network; None where the test part has many events, or all have too few."""
    new_places: NewPlaces | None
    """Of the float network; None with fewer than three known places."""
    validation: Validated
    calibration: Calibration
    history: tuple[Epoch, ...]
    best_epoch: int
    interrupted: bool
    """Whether Ctrl-C ended training early."""
    weight_change: Mapping[str, float]
    """By layer, how far its weights moved as a share of their length."""

    @property
    def training_photos(self) -> int:
        """All of the training part."""
        return sum(counts[Part.TRAIN] for counts in self.data.counts.values())


@dataclass(frozen=True)
class PupilEpoch:
    """The figures of one epoch of a pupil."""

    loss: float
    val_accuracy: float


@dataclass(frozen=True)
class PupilMetrics(Record):
    """`metrics.json` of a network that was distilled from a fine-tuned one."""

    SCHEMA: ClassVar[int] = 6
    MADE_BY: ClassVar[str] = "make micro"

    data: DataSet
    config: DistillSettings
    labels: tuple[str, ...]
    teacher: Teacher
    test: Accuracy
    calibration: Calibration
    history: tuple[PupilEpoch, ...]


def read_metrics(path: Path) -> Metrics | PupilMetrics:
    """Read `metrics.json`, whichever of the two networks it is of.

    Raises:
        RecordError: if it is missing, damaged, or of another version.
    """
    table = read_table(path, Metrics.MADE_BY)
    if "teacher" in table:
        return PupilMetrics.from_table(table, path)
    return Metrics.from_table(table, path)


@dataclass(frozen=True)
class Timings(Record):
    """`timings.json`: what does not repeat exactly, and so is not in the metrics."""

    SCHEMA: ClassVar[int] = 1
    MADE_BY: ClassVar[str] = "make train"

    commit: str
    """Of this project, that trained."""
    seconds: Mapping[str, float]
    """By step."""
    epochs_ended_s: tuple[float, ...]
    """Since the start; the head's fit counts as epoch 0. A resumed run has only its own."""
    epochs_ended_processor_s: tuple[float, ...]
    """The same in processor time of all threads, which other work on the machine hardly changes."""
    peak_memory_mib: int


@dataclass(frozen=True)
class Rules(Record):
    """`preprocess.json`: what the network expects to be done to a photo."""

    SCHEMA: ClassVar[int] = 1
    MADE_BY: ClassVar[str] = "make train"

    rules: Preprocessing


# --- labels ---------------------------------------------------------------------------------------


def write_labels(path: Path, labels: Sequence[str]) -> None:
    """Write `labels.txt`: a class a line, in the order of the network's outputs."""
    write_text(path, "\n".join(labels) + "\n")


def read_labels(path: Path) -> tuple[str, ...]:
    """Read `labels.txt`.

    Raises:
        RecordError: if it is missing or no text.
    """
    try:
        return tuple(path.read_text("utf-8").removesuffix("\n").split("\n"))
    except FileNotFoundError as error:
        raise RecordError(f"{path} is missing; run `make train` first") from error
    except (OSError, ValueError) as error:
        raise RecordError(f"{path}: damaged ({error}); remove it and run `make train`") from error
