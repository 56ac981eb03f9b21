"""Writes the training report from the files of a training run."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import keras

from device.contract.arrays import Pixels
from device.contract.photos import decode_frame
from device.contract.preprocess import Preprocessing
from device.errors import PhotoError
from device.files import write_text
from device.workstation.cuts import read_cuts, read_doubts
from device.workstation.training import CUTS, DATA, REPORT, SPLIT, DataRecord, Metrics, Part
from train.data.listed import loader, read_same
from train.data.split import Row, part, read_csv
from train.errors import DataError
from train.report import chapter, page
from train.report.boxes import Boxes
from train.report.network_views import Candidate

CANDIDATES = 96
"""Test photos that the chapter on the network chooses from."""


def write_report(out: Path, network: keras.Model, metrics: Metrics) -> None:
    """Write `report.html` beside the other files of a training.

    Args:
        out: folder with `split.csv` and `data.json`.
        network: the trained classifier.
        metrics: as `metrics.json` holds them.

    Raises:
        RecordError: if `data.json` or the list of cuts is missing or damaged.
        DataError: if the split, or every test photo, cannot be read.
    """
    rows = read_csv(out / SPLIT)
    files = DataRecord.read(out / DATA).files
    size_px = network.inputs[0].shape[1]
    rules = Preprocessing(height_px=size_px, width_px=size_px)
    digests = {row.path: row.sha256 for row in rows}
    cuts, doubts = read_cuts(out / CUTS), read_doubts(out / CUTS)
    load = loader(files, digests, rules, cuts)
    candidates = list(_candidates(rows, metrics.labels, load))
    if not candidates:
        raise DataError(f"{files.where}: the test photos cannot be read; run `make data` again")
    block = metrics.config.first_trained_block - 1
    cut = f"block_{block}" if metrics.best_epoch > 0 else chapter.LAST
    shown = chapter.make_chapter(network, candidates, metrics.labels, cut)

    def frame(row: Row) -> Pixels:
        return decode_frame(read_same(files, row.path, row.sha256))

    boxes = Boxes.of(metrics.data, rows, cuts, doubts, frame)
    write_text(out / REPORT, page.render(metrics, rows, load, shown, boxes))


def _candidates(
    rows: Sequence[Row], labels: Sequence[str], load: Callable[[str], Pixels]
) -> Iterator[Candidate]:
    test = sorted(part(rows, Part.TEST), key=lambda row: row.sha256)
    for row in test[:CANDIDATES]:
        try:
            yield Candidate(row.path, labels.index(row.label), load(row.path))
        except PhotoError:
            # The report works without this photo; steps that need it report it as missing.
            continue
