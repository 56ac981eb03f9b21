"""The photos of a split, by part, with labels as numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from device.contract.arrays import Box
from device.contract.preprocess import Preprocessing
from device.workstation.cuts import read_cuts
from device.workstation.events.listed import Occasion, read_occasions
from device.workstation.photo_files import PhotoFiles
from device.workstation.training import CUTS, EVENTS, SPLIT, DataRecord, Part
from device.workstation.weights import event_weights
from train.data.listed import load_listed
from train.data.split import Row, part, read_csv
from train.errors import DataError
from train.recipe.truth import Labels, Truth


@dataclass(frozen=True)
class Photos:
    """The rows of a split, in the order of `split.csv`."""

    files: PhotoFiles
    labels: tuple[str, ...]
    """Sorted; a photo's class number is the index of its label here."""
    rows: Mapping[Part, Sequence[Row]]
    occasions: Mapping[str, Occasion]
    """By path."""
    cuts: Mapping[str, Box] = field(default_factory=dict)
    """By path, for the photos that are cut; in pixels of `decode_frame`'s picture."""
    taught_of: int | None = None
    """Of how many photos those of the training part were chosen; None: they are all."""

    def events(self, part: Part) -> list[str]:
        """The event of each photo of a part."""
        return [self.occasions[row.path].event for row in self.rows[part]]

    def places(self, part: Part) -> list[str]:
        """The place of each photo of a part; empty where it is unknown."""
        return [self.occasions[row.path].place for row in self.rows[part]]

    def numbers(self, part: Part) -> Labels:
        """int64 (n,): the true classes of a part."""
        number = {label: i for i, label in enumerate(self.labels)}
        return np.array([number[row.label] for row in self.rows[part]], np.int64)

    def truth(self, part: Part) -> Truth:
        """The true classes of a part and the weights of its photos: an event counts once."""
        return Truth(self.numbers(part), event_weights(self.events(part)))

    def pixels(self, rows: Sequence[Row], rules: Preprocessing) -> npt.NDArray[np.uint8]:
        """Photos as uint8 (n, height_px, width_px, 3).

        Raises:
            DataError: if one is missing or has changed since it was scanned.
        """
        return np.stack(
            [
                load_listed(self.files, row.path, row.sha256, rules, self.cuts.get(row.path))
                for row in rows
            ]
        )


def read_photos(record: DataRecord, out: Path) -> Photos:
    """The photos that `data.json` records, by the split in `out`.

    Raises:
        DataError: if the split cannot be read or the folder of photos is missing.
        RecordError: if the list of events or of cuts cannot be read.
    """
    rows = read_csv(out / SPLIT)
    if not record.files.are_there():
        what = "index" if record.index else "folder"
        where = record.index or record.folder
        raise DataError(f"{where}: the {what} of photos is missing; run `make data` again")
    labels = tuple(sorted({row.label for row in rows}))
    occasions = read_occasions(out / EVENTS)
    strangers = [row.path for row in rows if row.path not in occasions]
    if strangers:
        raise DataError(
            f"{out / EVENTS} does not list {strangers[0]}; remove {out / SPLIT} and run `make data`"
        )
    parts = {name: part(rows, name) for name in Part}
    return Photos(record.files, labels, parts, occasions, read_cuts(out / CUTS))
