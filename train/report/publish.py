"""The report's way to disk: what training left, read back and shown."""

import json
import re
import shutil
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import keras

from device.contract.arrays import Pixels
from device.contract.photos import decode
from device.contract.preprocess import Preprocessing, prepare
from device.errors import PhotoError
from device.files import replacing, write_text
from train.data.listed import read_same
from train.data.record import DATA_RECORD, SPLIT, read_record
from train.data.split import Row, part, read_csv
from train.errors import BuildFolderError, DataError
from train.report import chapter, page
from train.report.network_views import Candidate

REPORT = "report.html"
CANDIDATES = 96
"""Test photos that the chapter on the network chooses from."""


def read_training(out: Path) -> tuple[dict[str, Any], keras.Model]:
    """Metrics and network of a finished training.

    Raises:
        BuildFolderError: if one is missing or damaged.
    """
    try:
        metrics = json.loads((out / "metrics.json").read_text("utf-8"))
        _ = metrics["weight_change"], metrics["config"]["first_trained_block"]
        return metrics, keras.saving.load_model(out / "model.keras", compile=False)
    # What Keras raises for a damaged file, it does not promise.
    except Exception as error:
        raise BuildFolderError(
            f"{out}: no whole training ({error}); remove what is damaged and run `make train`"
        ) from error


def save_network(network: keras.Model, path: Path) -> None:
    """Save a network; one that is as before keeps its date, and nothing is made from it again."""
    with replacing(path) as part_path:
        network.save(part_path)
        if path.exists() and _content(part_path) == _content(path):
            shutil.copystat(path, part_path)


def _content(path: Path) -> tuple[bytes, int] | None:
    """Layers, and checksum of the weights; None if that is no whole network."""
    try:
        with ZipFile(path) as archive:
            layers = archive.read("config.json")
            weights = archive.getinfo("model.weights.h5").CRC
    except (BadZipFile, zlib.error, KeyError):
        return None
    # Addresses in the memory of whoever saved it.
    return re.sub(rb'"shared_object_id": \d+', b"", layers), weights


def write_report(out: Path, network: keras.Model, metrics: Mapping[str, Any]) -> None:
    """Write `report.html` beside the other files of a training.

    Args:
        out: folder with `split.csv` and `data.json`.
        network: the trained classifier.
        metrics: as `metrics.json` holds them.

    Raises:
        DataError: if the split cannot be read, or none of its test photos.
    """
    rows = read_csv(out / SPLIT)
    folder = Path(read_record(out / DATA_RECORD).folder)
    size_px = network.inputs[0].shape[1]
    rules = Preprocessing(height_px=size_px, width_px=size_px)

    digests = {row.path: row.sha256 for row in rows}

    def load(path: str) -> Pixels:
        return prepare(decode(read_same(folder / path, digests[path]), rules), rules)

    candidates = list(_candidates(rows, metrics["labels"], load))
    if not candidates:
        raise DataError(f"{folder}: the test photos are gone; run `make data` again")
    block = metrics["config"]["first_trained_block"] - 1
    cut = f"block_{block}" if metrics["best_epoch"] > 0 else chapter.LAST
    shown = chapter.look(network, candidates, metrics["labels"], cut)
    write_text(out / REPORT, page.render(metrics, rows, load, shown))


def _candidates(
    rows: Sequence[Row], labels: Sequence[str], load: Callable[[str], Pixels]
) -> Iterator[Candidate]:
    test = sorted(part(rows, "test"), key=lambda row: row.sha256)
    for row in test[:CANDIDATES]:
        try:
            yield Candidate(row.path, labels.index(row.label), load(row.path))
        except PhotoError:
            # The report can do without; whoever needs the photo says that it is gone.
            continue
