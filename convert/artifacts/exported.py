"""The files of `build/convert`: what export leaves for verification and the bundle."""

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from convert.artifacts.training import LabelledPhoto, Training
from convert.errors import InputError
from device.contract.bundle import MODEL
from device.files import write_bytes

FLOAT_MODEL = "model_float32.tflite"
CALIBRATION = "calibration.json"
EQUALIZATION = "equalization.npz"
_NAMES = (FLOAT_MODEL, MODEL, EQUALIZATION)


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
    """All that one export made."""

    float_model: bytes
    int8_model: bytes
    scales: Mapping[str, Any]
    """By layer, what its channels are larger by."""
    seed: int
    photos: Sequence[LabelledPhoto]
    """The calibration set."""
    commit: str

    @property
    def models(self) -> dict[str, bytes]:
        """Both models by the names of their files."""
        return {FLOAT_MODEL: self.float_model, MODEL: self.int8_model}

    def write(self, folder: Path) -> None:
        """Write the files, the int8 model last: where it is new, the others are.

        The record names all by their hashes, so that `read_export` knows files of two exports.
        """
        scales = io.BytesIO()
        np.savez(scales, **self.scales)
        files = {FLOAT_MODEL: self.float_model, EQUALIZATION: scales.getvalue()}
        record = {
            "commit": self.commit,
            "seed": self.seed,
            "photos": [{"path": photo.path, "sha256": photo.sha256} for photo in self.photos],
            "files": {name: _sha256(data) for name, data in {**files, **self.models}.items()},
        }
        files[CALIBRATION] = (json.dumps(record, indent=1) + "\n").encode()
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in {**files, MODEL: self.int8_model}.items():
            write_bytes(folder / name, data)


def read_export(folder: Path, training: Training) -> Export:
    """What `Export.write` left.

    Raises:
        InputError: if a file is missing, damaged, of another export, or of another split.
    """
    path = folder / CALIBRATION
    try:
        record = json.loads(path.read_text("utf-8"))
        known = {(photo.path, photo.sha256): photo for photo in training.photos["train"]}
        photos = [known[photo["path"], photo["sha256"]] for photo in record["photos"]]
        seed, commit, digests = int(record["seed"]), str(record["commit"]), dict(record["files"])
        files = {name: _read_same(folder / name, digests[name]) for name in _NAMES}
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; run `make convert` first") from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: does not fit the split ({error}); remove it and run `make convert`"
        ) from error
    with np.load(io.BytesIO(files[EQUALIZATION]), allow_pickle=False) as file:
        scales = dict(file)
    return Export(files[FLOAT_MODEL], files[MODEL], scales, seed, photos, commit)


def _read_same(path: Path, sha256: str) -> bytes:
    data = read_model(path)
    if _sha256(data) != sha256:
        raise InputError(f"{path}: damaged, or of another export; remove it and run `make convert`")
    return data


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
