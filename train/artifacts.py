"""Reading and writing the trained network, and reading its metrics, for more than one step."""

import re
import shutil
import zlib
from pathlib import Path
from zipfile import BadZipFile, ZipFile

import keras

from device.errors import one_line
from device.files import replacing
from device.workstation.training import METRICS, NETWORK, Metrics
from train.errors import BuildFolderError


def read_training(out: Path) -> tuple[Metrics, keras.Model]:
    """Metrics and network of a finished training run.

    Raises:
        RecordError: if the metrics are missing, damaged or of another version.
        BuildFolderError: if the network is missing or damaged.
    """
    metrics, path = Metrics.read(out / METRICS), out / NETWORK
    try:
        return metrics, keras.saving.load_model(path, compile=False)
    # Keras does not document what it raises for a damaged file.
    except Exception as error:
        raise BuildFolderError(
            f"{path}: not a complete network ({one_line(error)}); remove it and run `make train`"
        ) from error


def save_network(network: keras.Model, path: Path) -> None:
    """Save a network; an unchanged one keeps its date, so make rebuilds nothing from it."""
    with replacing(path) as part_path:
        network.save(part_path)
        if path.exists() and _content(part_path) == _content(path):
            shutil.copystat(path, part_path)


def _content(path: Path) -> tuple[bytes, int] | None:
    """Layers, and checksum of the weights; None if the file is not a complete network."""
    try:
        with ZipFile(path) as archive:
            layers = archive.read("config.json")
            weights = archive.getinfo("model.weights.h5").CRC
    except (BadZipFile, zlib.error, KeyError):
        return None
    # These ids are memory addresses of the process that saved the network.
    return re.sub(rb'"shared_object_id": \d+', b"", layers), weights
