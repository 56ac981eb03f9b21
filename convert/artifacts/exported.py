"""The files of `build/convert`, which export writes for verification and the bundle."""

import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from convert.artifacts.training import LabelledPhoto, Training
from convert.errors import InputError
from device.contract.statistics import FeatureStatistics
from device.files import write_bytes
from device.workstation.conversion import (
    CALIBRATION,
    EQUALIZATION,
    FLOAT_MODEL,
    INT8_MODEL,
    STATISTICS,
    CalibrationPhoto,
    ExportRecord,
)
from device.workstation.training import Part


def read_model(path: Path) -> bytes:
    """A TFLite model.

    Raises:
        InputError: if it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; run `make convert` first") from error


@dataclass(frozen=True)
class Export:
    """The results of one export."""

    float_model: bytes
    int8_model: bytes
    scales: Mapping[str, Any]
    """By layer, the factors by which its channels were scaled."""
    statistics: FeatureStatistics
    """Of the int8 model's features of the training photos."""
    seed: int
    photos: Sequence[LabelledPhoto]
    """The calibration set."""
    commit: str

    @property
    def models(self) -> dict[str, bytes]:
        """Both models by the names of their files."""
        return {FLOAT_MODEL: self.float_model, INT8_MODEL: self.int8_model}

    def write(self, folder: Path) -> None:
        """Write the files, the int8 model last: if it is new, all others are.

        The record has the hashes of all files, so that `read_export` detects a mix of two exports.
        """
        scales = io.BytesIO()
        # In an order that no set decides: each process has its own.
        np.savez(scales, **dict(sorted(self.scales.items())))
        files = {
            FLOAT_MODEL: self.float_model,
            EQUALIZATION: scales.getvalue(),
            STATISTICS: self.statistics.content(),
        }
        digests = {name: _sha256(data) for name, data in {**files, **self.models}.items()}
        files[CALIBRATION] = self._record(digests).text().encode()
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in {**files, INT8_MODEL: self.int8_model}.items():
            write_bytes(folder / name, data)

    def _record(self, digests: Mapping[str, str]) -> ExportRecord:
        photos = tuple(CalibrationPhoto(photo.path, photo.sha256) for photo in self.photos)
        return ExportRecord(self.commit, self.seed, photos, digests)


def read_export(folder: Path, training: Training) -> Export:
    """Read what `Export.write` wrote.

    Raises:
        RecordError: if the record of the export is missing, damaged or of another version.
        InputError: if another file is missing or damaged, or belongs to another export or split.
    """
    record = ExportRecord.read(folder / CALIBRATION)
    photos = _known_photos(record, training, folder / CALIBRATION)
    names = (FLOAT_MODEL, INT8_MODEL, EQUALIZATION, STATISTICS)
    files = {name: _read_same(folder / name, record.files.get(name, "")) for name in names}
    with np.load(io.BytesIO(files[EQUALIZATION]), allow_pickle=False) as file:
        scales = dict(file)
    statistics = FeatureStatistics.read(files[STATISTICS], len(training.labels))
    return Export(
        files[FLOAT_MODEL],
        files[INT8_MODEL],
        scales,
        statistics,
        record.seed,
        photos,
        record.commit,
    )


def _known_photos(record: ExportRecord, training: Training, path: Path) -> list[LabelledPhoto]:
    """The photos of the record, with their classes."""
    known = {(photo.path, photo.sha256): photo for photo in training.photos[Part.TRAIN]}
    try:
        return [known[photo.path, photo.sha256] for photo in record.photos]
    except KeyError as error:
        raise InputError(
            f"{path}: does not match the split (which has no {error}); remove it and run "
            "`make convert`"
        ) from error


def _read_same(path: Path, sha256: str) -> bytes:
    data = read_model(path)
    if _sha256(data) != sha256:
        raise InputError(
            f"{path}: damaged, or from another export; remove it and run `make convert`"
        )
    return data


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
