"""Makes the record of the photos, `data.json`, and its text for people."""

import hashlib
from collections import Counter
from collections.abc import Sequence, Set
from pathlib import Path

from device.workstation.training import LEFT_OUT, SPLIT, DataRecord, DataSet, Part
from train.data import folder as folders
from train.data.folder import RENDERED_MARK
from train.data.split import Row

RENDERED = "rendered"
"""`DATA=rendered` selects the rendered set, with or without network."""


def describe(folder: Path, rows: Sequence[Row], collected: Set[str] = frozenset()) -> DataRecord:
    """The record of a scanned and split folder; `collected` are the paths of devices' photos."""
    rendered = (folder / RENDERED_MARK).exists()
    labels = sorted({row.label for row in rows})
    counter = Counter((row.label, row.part) for row in rows)
    counts = {label: {part: counter[label, part] for part in (*Part, LEFT_OUT)} for label in labels}
    digests = "\n".join(sorted(f"{row.sha256} {row.label}" for row in rows))
    name = folder.resolve().name
    used = [row.path for row in rows if row.part != LEFT_OUT]
    fresh = len(set(collected).intersection(used))
    saved = f", {fresh:,} of them saved by devices" if fresh else ""
    note = " (pictures rendered by this project, no real photos)" if rendered else ""
    data_set = DataSet(
        kind="rendered" if rendered else "photos",
        name=name,
        description=f"{len(used):,} photos in {len(labels)} classes, folder {name!r}{saved}{note}",
        fingerprint=hashlib.sha256(digests.encode()).hexdigest(),
        counts=counts,
        correlations={f"{key:g}": count for key, count in sorted(_correlations(rows).items())},
        edited_copies=sum(bool(row.copy_of) for row in rows),
    )
    return DataRecord(str(folder.resolve()), data_set)


def _correlations(rows: Sequence[Row]) -> Counter[float]:
    return Counter(row.correlation for row in rows if row.part != LEFT_OUT and not row.collected)


def table(data_set: DataSet, rows: Sequence[Row]) -> str:
    """The number of photos by class and part, and the photos left out, as text."""
    columns = (*Part, LEFT_OUT)
    width = max(12, *(len(label) for label in data_set.counts))
    lines = [f"{'':{width}}" + "".join(f"{column:>10}" for column in columns)]
    for label, parts in data_set.counts.items():
        lines.append(f"{label:{width}}" + "".join(f"{parts[column]:10}" for column in columns))
    lines += _grouping_notes(data_set, rows)
    left_out = [row for row in rows if row.part == LEFT_OUT]
    lines += [f"left out: {folders.shown(row.path)}: {row.reason}" for row in left_out[:20]]
    if len(left_out) > 20:
        lines.append(f"... and {len(left_out) - 20} more, see {SPLIT}")
    return "\n".join(lines)


def _grouping_notes(data_set: DataSet, rows: Sequence[Row]) -> list[str]:
    """Lines on photos that were not grouped like most."""
    lines = []
    usual, *stricter = data_set.correlations.items() or [("", 0)]
    for correlation, count in stricter:
        lines.append(
            f"all alike, as from a fixed camera: {count:,} photos; they count as one picture from "
            f"a correlation of {correlation}, all others from {usual[0]}"
        )
    edited = [row for row in rows if row.copy_of]
    lines += [
        f"edited copy, kept in one part: {folders.shown(row.path)} of {folders.shown(row.copy_of)}"
        for row in edited[:20]
    ]
    if len(edited) > 20:
        lines.append(f"... and {len(edited) - 20} more, see the groups in {SPLIT}")
    return lines
