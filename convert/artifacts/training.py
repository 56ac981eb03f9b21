"""The files of `build/train`, which training wrote: reading and checking them."""

import csv
import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

from convert.errors import InputError
from device.commit import UNKNOWN
from device.contract.arrays import Box, Pixels
from device.contract.photos import decode, load_box
from device.contract.preprocess import Preprocessing, prepare
from device.errors import PhotoError, one_line
from device.workstation.cuts import read_cuts
from device.workstation.events.listed import Occasion, read_occasions
from device.workstation.photo_files import PhotoFiles
from device.workstation.quiet import quiet_tensorflow
from device.workstation.training import (
    CUTS,
    DATA,
    EVENTS,
    LABELS,
    METRICS,
    NETWORK,
    PREPROCESSING,
    REPORT,
    REPORT_PLACE,
    SPLIT,
    STRANGERS,
    TIMINGS,
    DataRecord,
    Metrics,
    Part,
    PupilMetrics,
    Rules,
    Timings,
    read_labels,
    read_metrics,
)
from device.workstation.unknown.listed import read_strangers

NO_CLASS = -1


@dataclass(frozen=True)
class LabelledPhoto:
    """One photo of the split."""

    path: str
    """Relative to the data folder."""
    label: int
    """Index into the labels; `NO_CLASS` of a stranger."""
    sha256: str
    event: str
    """The occasion at which it was taken; photos of one event are right or wrong together."""
    place: str
    """Where the camera stood; empty if unknown."""
    box: Box | None = None
    """Where it is cut, in pixels of `decode_frame`'s picture; None for a photo that stays whole."""


@dataclass(frozen=True)
class Training:
    """The result of training, apart from the network itself."""

    folder: Path
    files: PhotoFiles
    labels: tuple[str, ...]
    preprocessing: Preprocessing
    photos: Mapping[Part, tuple[LabelledPhoto, ...]]
    metrics: Metrics | PupilMetrics
    commit: str = UNKNOWN
    """Commit of this project that did the training."""
    strangers: Mapping[Part, tuple[LabelledPhoto, ...]] = field(default_factory=dict)
    """The user's own photos that show none of the classes: those of the training part teach what is
    unknown, those of the test part judge it."""

    @property
    def model_path(self) -> Path:
        """The trained network."""
        return self.folder / NETWORK

    @property
    def label_smoothing(self) -> float:
        """Share of each label that all classes had alike when it was taught; 0 for a pupil."""
        return self.metrics.config.label_smoothing if isinstance(self.metrics, Metrics) else 0.0

    def page(self) -> tuple[str, str]:
        """Training's report before and after the section on quantization.

        Raises:
            InputError: if it is missing or has no place for that section.
        """
        path = self.folder / REPORT
        try:
            page = path.read_text("utf-8")
        except (OSError, ValueError) as error:
            raise InputError(f"{path} cannot be read; run `make train` again") from error
        begin, end = REPORT_PLACE
        before, behind = page.partition(begin)[0], page.rpartition(end)[2]
        if page.count(begin) != 1 or page.count(end) != 1 or page.index(begin) > page.index(end):
            raise InputError(
                f"{path} has no place for verification; remove it and run `make train`"
            )
        return before, behind

    def pixels(self, photo: LabelledPhoto, rules: Preprocessing | None = None) -> Pixels:
        """A photo as the device prepares it.

        Args:
            photo: one of the split.
            rules: None: those of the network.

        Raises:
            InputError: if it is missing or has changed since the split.
        """
        rules = rules or self.preprocessing
        with self._listed(photo):
            if photo.box is not None:
                return load_box(self._read(photo), photo.box, rules)
            return prepare(decode(self._read(photo), rules), rules)

    def without_photos(self) -> "Training":
        """The same for workers, which are told what to read."""
        return replace(self, photos={}, strangers={})

    def content(self, photo: LabelledPhoto) -> bytes:
        """The bytes of a photo; raises as `pixels` does."""
        with self._listed(photo):
            return self._read(photo)

    def _read(self, photo: LabelledPhoto) -> bytes:
        data = self.files.read(photo.path)
        if hashlib.sha256(data).hexdigest() != photo.sha256:
            raise PhotoError("its content has changed since it was scanned")
        return data

    @contextmanager
    def _listed(self, photo: LabelledPhoto) -> Iterator[None]:
        try:
            yield
        except PhotoError as error:
            raise InputError(
                f"{photo.path}: {error}, though the split lists it; run `make data` again"
            ) from error


def read_training(folder: Path) -> Training:
    """Read `build/train`.

    Raises:
        RecordError: if a record is missing, damaged or of another version.
        InputError: if another file is missing or damaged.
    """
    if not (folder / NETWORK).exists():
        raise InputError(f"{folder / NETWORK} is missing; run `make train` first")
    labels, metrics = read_labels(folder / LABELS), read_metrics(folder / METRICS)
    return Training(
        folder=folder,
        files=DataRecord.read(folder / DATA).files,
        labels=labels,
        preprocessing=Rules.read(folder / PREPROCESSING).rules,
        photos=read_photos(folder),
        metrics=metrics,
        commit=Timings.read(folder / TIMINGS).commit,
        # A pupil is not asked about them.
        strangers=_strangers(folder / STRANGERS) if isinstance(metrics, Metrics) else {},
    )


def _strangers(path: Path) -> dict[Part, tuple[LabelledPhoto, ...]]:
    """The strangers that teach and those that judge; raises RecordError."""
    found = read_strangers(path)
    return {
        part: tuple(
            LabelledPhoto(one.path, NO_CLASS, one.sha256, one.event, "", one.box)
            for one in found
            if one.part == part
        )
        for part in (Part.TRAIN, Part.TEST)
    }


def read_photos(folder: Path) -> dict[Part, tuple[LabelledPhoto, ...]]:
    """The photos of each part, in the order of the split; raises as `read_training`."""
    labels, occasions = read_labels(folder / LABELS), read_occasions(folder / EVENTS)
    return _read_split(folder / SPLIT, labels, occasions, read_cuts(folder / CUTS))


def _read_split(
    path: Path,
    labels: tuple[str, ...],
    occasions: Mapping[str, Occasion],
    cuts: Mapping[str, Box],
) -> dict[Part, tuple[LabelledPhoto, ...]]:
    parts: dict[str, list[LabelledPhoto]] = {name: [] for name in Part}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                if row["part"] in parts:
                    label, occasion = labels.index(row["class"]), occasions[row["path"]]
                    parts[row["part"]].append(
                        LabelledPhoto(
                            row["path"],
                            label,
                            row["sha256"],
                            occasion.event,
                            occasion.place,
                            cuts.get(row["path"]),
                        )
                    )
    except FileNotFoundError as error:
        raise InputError(f"{path} is missing; run `make data` first") from error
    except (OSError, ValueError, KeyError, csv.Error) as error:
        raise InputError(f"{path}: damaged ({error}); remove it and run `make data`") from error
    for name, photos in parts.items():
        if not photos:
            raise InputError(f"{path} lists no {name} photos; remove it and run `make data`")
    return {name: tuple(parts[name]) for name in Part}


def load_network(path: Path) -> Any:
    """The trained Keras model.

    Raises:
        InputError: if the file is not a Keras model.
    """
    with quiet_tensorflow():
        import keras
        import tensorflow  # noqa: F401  else Keras loads it later, with its messages

    try:
        return keras.saving.load_model(path, compile=False)
    except Exception as error:
        raise InputError(
            f"{path}: not a complete Keras model ({one_line(error)}); remove it and run "
            "`make train`"
        ) from error


def one_class_after_another(photos: Sequence[LabelledPhoto]) -> list[LabelledPhoto]:
    """The photos of all classes in turn, smallest SHA-256 first."""
    return in_turn(sorted(photos, key=lambda photo: (photo.sha256, photo.path)))


def turns(events: Sequence[str]) -> list[int]:
    """For each photo in order, how many before it are of the same event."""
    seen: Counter[str] = Counter()
    found = []
    for event in events:
        found.append(seen[event])
        seen[event] += 1
    return found


def in_turn(photos: Sequence[LabelledPhoto]) -> list[LabelledPhoto]:
    """The photos of all classes in turn; within a class the order stays."""
    by_class: dict[int, list[LabelledPhoto]] = defaultdict(list)
    for photo in photos:
        by_class[photo.label].append(photo)
    queues = [by_class[label] for label in sorted(by_class)]
    return [photo for turn in zip_longest(*queues) for photo in turn if photo is not None]
