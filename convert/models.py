"""The files of `build/convert`: what export leaves for verification and the bundle."""

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from convert.errors import InputError
from convert.training import LabelledPhoto, Training

FLOAT_MODEL = "model_float32.tflite"
CALIBRATION = "calibration.json"
EQUALIZATION = "equalization.npz"


def read_model(path: Path) -> bytes:
    """A TFLite model.

    Raises:
        InputError: if it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; run `make convert` first") from error


def scales_file(scales: Mapping[str, Any]) -> bytes:
    """`equalization.npz`: by layer what its channels are larger by."""
    data = io.BytesIO()
    np.savez(data, **scales)
    return data.getvalue()


def read_scales(path: Path) -> dict[str, Any]:
    """What `scales_file` gave.

    Raises:
        InputError: if it is missing or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            return dict(file)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: cannot be read ({error}); run `make convert` again") from error


def read_calibration(path: Path, training: Training) -> tuple[int, list[LabelledPhoto]]:
    """Seed and photos of the calibration set.

    Raises:
        InputError: if the file is missing, damaged, or of another split.
    """
    try:
        record = json.loads(path.read_text("utf-8"))
        by_path = {photo.path: photo for photo in training.photos["train"]}
        return int(record["seed"]), [by_path[name] for name in record["photos"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: does not fit the split ({error}); run `make convert`") from error
