"""Boxes that devices noted in the photos that they saved: around what stood before the background.

A device knew the background of that very minute. Here it has to be made of other photos, of which
there may be too few.
"""

from collections.abc import Callable, Iterable

from device.contract import provenance
from device.contract.look.rules import Seen
from device.contract.provenance import Provenance
from device.errors import PhotoError
from device.workstation.photo_files import PhotoFiles
from device.workstation.training import LEFT_OUT
from device.workstation.wording import number
from train.data.sight.cutting import Cutting
from train.data.split import Row

START_BYTES = 2**17
"""A photo's record is in its first 64 KiB."""


def with_noted(
    found: Cutting,
    files: PhotoFiles,
    rows: Iterable[Row],
    tell: Callable[[str], None] = lambda note: None,
) -> Cutting:
    """Cut photos that devices saved where these did; all others as found.

    Args:
        found: by looking at the photos here.
        files: finds the photos.
        rows: of the split.
        tell: gets a line on photos that somebody altered since, so that no box is known.
    """
    records = {row.path: record for row in rows if (record := _record(files, row)) is not None}
    altered = sum(record.altered for record in records.values())
    if altered:
        tell(
            f"turned, cut or resized since a device saved them: {number(altered, 'photo')}, looked "
            "at like any other"
        )
    return found.with_boxes(
        {
            path: record.box
            for path, record in records.items()
            if record.seen == Seen.SOMETHING and record.box is not None
        }
    )


def _record(files: PhotoFiles, row: Row) -> Provenance | None:
    if not row.collected or row.part == LEFT_OUT:
        return None
    try:
        return provenance.read(files.start(row.path, START_BYTES))
    except PhotoError:
        # Whoever needs its pixels says so.
        return None
