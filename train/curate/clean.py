"""Cleaning: what an audit found may be left out of the split; the folder is never touched."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from device.workstation.training import LEFT_OUT, Part
from train.curate.audit import Removal
from train.data.split import Row
from train.errors import DataError

JUDGED = "mislabel"
"""The kind of removal that rests on a model, and so is for the training part alone."""


@dataclass(frozen=True)
class Cleaning:
    """The removals of one `audit.json`, and the photos and seed they were found for."""

    fingerprint: str
    seed: int
    removals: tuple[Removal, ...]


def read_cleaning(path: Path) -> Cleaning:
    """Read what `audit.json` says should go.

    Raises:
        DataError: if it is missing or damaged.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        removals = tuple(Removal(**removal) for removal in record["removals"])
        return Cleaning(record["fingerprint"], record["seed"], removals)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DataError(
            f"{path}: not a readable audit ({error}); remove it and run `make audit`"
        ) from error


def clean(rows: Sequence[Row], cleaning: Cleaning, fingerprint: str, seed: int) -> list[Row]:
    """The same rows, those to be removed left out with their reason; all others as they were.

    Raises:
        DataError: if the audit is of other photos or another seed, would take photos from the
            test or validation part by a model's judgement, or would leave a class without
            photos in a part where it had some.
    """
    if (cleaning.fingerprint, cleaning.seed) != (fingerprint, seed):
        raise DataError(
            "the audit is of other photos or another seed: remove audit.json and run `make audit`"
        )
    by_path = {removal.path: removal for removal in cleaning.removals}
    for row in rows:
        removal = by_path.get(row.path)
        if removal and removal.kind == JUDGED and row.part != Part.TRAIN:
            raise DataError(
                f"the audit would take {row.path} from the {row.part} part by a model's "
                "judgement, which would flatter the accuracy: remove audit.json, run `make audit`"
            )
    cleaned = [
        replace(row, part=LEFT_OUT, reason=f"cleaned: {by_path[row.path].reason}")
        if row.path in by_path and row.part != LEFT_OUT
        else row
        for row in rows
    ]
    lost = _places(rows) - _places(cleaned)
    if lost:
        label, part = min(lost)
        raise DataError(
            f"cleaning would leave no {part} photo of class {label!r}: leave out CLEAN=1"
        )
    return cleaned


def _places(rows: Sequence[Row]) -> set[tuple[str, str]]:
    return {(row.label, row.part) for row in rows if row.part != LEFT_OUT}
