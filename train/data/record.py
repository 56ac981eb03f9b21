"""The record of the photos, `data.json`: what they are and how they were split."""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from train.data import folder as folders
from train.data.folder import RENDERED_MARK
from train.data.split import LEFT_OUT, PARTS, Row
from train.errors import DataError

RENDERED = "rendered"
"""`DATA=rendered` asks for the rendered set, whatever the network offers."""
DATA_RECORD = "data.json"
SPLIT = "split.csv"


@dataclass(frozen=True)
class DataSet:
    """Which photos everything downstream was made from."""

    folder: str
    kind: str
    """"photos" or "rendered"."""
    name: str
    description: str
    """One line for every report."""
    fingerprint: str
    """SHA-256 over the sorted digests and classes of all files."""
    counts: dict[str, dict[str, int]]
    """Photos by class and part."""
    correlations: dict[str, int] = field(default_factory=dict)
    """How many of the photos that judge and teach were grouped with what is from this correlation
    on nearly identical to them."""
    edited_copies: int = 0
    """Photos grouped with another that they are an edited copy of, or that is one of them."""

    def record(self) -> dict[str, Any]:
        """As the JSON object of `data.json`."""
        return asdict(self)

    def public_record(self) -> dict[str, Any]:
        """Without the folder's path, which says more about a machine than about the data."""
        return {key: value for key, value in self.record().items() if key != "folder"}


def describe(folder: Path, rows: Sequence[Row], collected: Set[str] = frozenset()) -> DataSet:
    """The record of a scanned and split folder; `collected` are the paths of devices' photos."""
    kind = "rendered" if (folder / RENDERED_MARK).exists() else "photos"
    labels = sorted({row.label for row in rows})
    counter = Counter((row.label, row.part) for row in rows)
    counts = {
        label: {part: counter[label, part] for part in (*PARTS, LEFT_OUT)} for label in labels
    }
    digests = "\n".join(sorted(f"{row.sha256} {row.label}" for row in rows))
    name = folder.resolve().name
    used = [row.path for row in rows if row.part != LEFT_OUT]
    fresh = len(set(collected).intersection(used))
    saved = f", {fresh:,} of them saved by devices" if fresh else ""
    note = " (pictures rendered by this project, no real photos)" if kind == "rendered" else ""
    return DataSet(
        folder=str(folder.resolve()),
        kind=kind,
        name=name,
        description=f"{len(used):,} photos in {len(labels)} classes, folder {name!r}{saved}{note}",
        fingerprint=hashlib.sha256(digests.encode()).hexdigest(),
        counts=counts,
        correlations={f"{key:g}": count for key, count in sorted(_correlations(rows).items())},
        edited_copies=sum(bool(row.copy_of) for row in rows),
    )


def _correlations(rows: Sequence[Row]) -> Counter[float]:
    return Counter(row.correlation for row in rows if row.part != LEFT_OUT and not row.collected)


def read_record(path: Path) -> DataSet:
    """Read `data.json` back.

    Raises:
        DataError: if it is missing or damaged.
    """
    try:
        return DataSet(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"{path}: not readable ({error}); run `make data` again") from error


def table(data_set: DataSet, rows: Sequence[Row]) -> str:
    """Classes by parts and the photos left out, as text."""
    columns = (*PARTS, LEFT_OUT)
    width = max(12, *(len(label) for label in data_set.counts))
    lines = [f"{'':{width}}" + "".join(f"{column:>10}" for column in columns)]
    for label, parts in data_set.counts.items():
        lines.append(f"{label:{width}}" + "".join(f"{parts[column]:10}" for column in columns))
    lines += _grouping(data_set, rows)
    left_out = [row for row in rows if row.part == LEFT_OUT]
    lines += [f"left out: {folders.shown(row.path)}: {row.reason}" for row in left_out[:20]]
    if len(left_out) > 20:
        lines.append(f"... and {len(left_out) - 20} more, see {SPLIT}")
    return "\n".join(lines)


def _grouping(data_set: DataSet, rows: Sequence[Row]) -> list[str]:
    """What was grouped in another way than most photos are."""
    lines = []
    usual, *stricter = data_set.correlations.items() or [("", 0)]
    for correlation, count in stricter:
        lines.append(
            f"alike as of one camera: {count:,} photos; of these one picture are those that "
            f"correlate by {correlation}, of all others by {usual[0]}"
        )
    edited = [row for row in rows if row.copy_of]
    lines += [
        f"edited copy, in one part: {folders.shown(row.path)} of {folders.shown(row.copy_of)}"
        for row in edited[:20]
    ]
    if len(edited) > 20:
        lines.append(f"... and {len(edited) - 20} more, see the groups in {SPLIT}")
    return lines
