"""The photos of a split, by part, with labels as numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from device.contract.preprocess import Preprocessing
from device.workstation.training import SPLIT, DataRecord, Part
from train.data.listed import load_listed
from train.data.split import Row, part, read_csv
from train.errors import DataError

Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Photos:
    """The rows of a split, in the order of `split.csv`."""

    folder: Path
    labels: tuple[str, ...]
    """Sorted; a photo's class number is the index of its label here."""
    rows: Mapping[Part, Sequence[Row]]

    def numbers(self, part: Part) -> Labels:
        """int64 (n,): the true classes of a part."""
        return np.array([self.labels.index(row.label) for row in self.rows[part]], np.int64)

    def path(self, row: Row) -> Path:
        """The path of a photo's file."""
        return self.folder / row.path

    def pixels(self, rows: Sequence[Row], rules: Preprocessing) -> npt.NDArray[np.uint8]:
        """Photos as uint8 (n, height_px, width_px, 3).

        Raises:
            DataError: if one is missing or has changed since it was scanned.
        """
        return np.stack([load_listed(self.path(row), row.sha256, rules) for row in rows])


def read_photos(record: DataRecord, out: Path) -> Photos:
    """The photos that `data.json` records, by the split in `out`.

    Raises:
        DataError: if the split cannot be read or the folder of photos is missing.
    """
    rows = read_csv(out / SPLIT)
    folder = Path(record.folder)
    if not folder.is_dir():
        raise DataError(f"{folder}: the folder of photos is missing; run `make data` again")
    labels = tuple(sorted({row.label for row in rows}))
    return Photos(folder, labels, {name: part(rows, name) for name in Part})
