"""Cleaning: photos that an audit objects to are left out of the split; files are never touched."""

from collections.abc import Sequence
from dataclasses import replace

from device.workstation.training import LEFT_OUT, Part
from train.curate.audit_record import AuditRecord
from train.data.split import Row
from train.errors import DataError

JUDGED = "mislabel"
"""The kind of removal that a model decides, and so is allowed only in the training part."""


def clean(rows: Sequence[Row], audit: AuditRecord, fingerprint: str, seed: int) -> list[Row]:
    """The same rows; photos to remove are marked as left out, with the reason.

    Raises:
        DataError: if the audit is of other photos or another seed, would take photos from the
            test or validation part by a model's judgement, or would leave a class without
            photos in a part where it had some.
    """
    if (audit.fingerprint, audit.seed) != (fingerprint, seed):
        raise DataError(
            "the audit is of other photos or another seed: remove audit.json and run `make audit`"
        )
    by_path = {removal.path: removal for removal in audit.removals}
    for row in rows:
        removal = by_path.get(row.path)
        if removal and removal.kind == JUDGED and row.part != Part.TRAIN:
            raise DataError(
                f"the audit would take {row.path} from the {row.part} part by a model's "
                "judgement, which would flatter the accuracy: remove audit.json and run "
                "`make audit`"
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
            f"cleaning would leave no {part} photo of class {label!r}: run without CLEAN=1"
        )
    return cleaned


def _places(rows: Sequence[Row]) -> set[tuple[str, str]]:
    return {(row.label, row.part) for row in rows if row.part != LEFT_OUT}
