"""Boxes that devices noted in the photos that they saved: around what stood before the background.

A device knew the background of that very minute. Here it has to be made of other photos, of which
there may be too few.
"""

from collections.abc import Iterable

from device.contract import provenance
from device.contract.arrays import Box
from device.contract.look.rules import Seen
from device.workstation.photo_files import PhotoFiles
from device.workstation.training import LEFT_OUT
from train.data.sight.cutting import Cutting
from train.data.split import Row

START_BYTES = 2**17
"""A photo's record is in its first 64 KiB."""


def with_noted(found: Cutting, files: PhotoFiles, rows: Iterable[Row]) -> Cutting:
    """Cut photos that devices saved where these did; all others as found.

    Args:
        found: by looking at the photos here.
        files: finds the photos.
        rows: of the split.
    """
    boxes = {row.path: box for row in rows if (box := _noted(files, row)) is not None}
    return found.with_boxes(boxes)


def _noted(files: PhotoFiles, row: Row) -> Box | None:
    if not row.collected or row.part == LEFT_OUT:
        return None
    try:
        with files.path(row.path).open("rb") as file:
            record = provenance.read(file.read(START_BYTES))
    except OSError:
        # Whoever needs its pixels says so.
        return None
    return record.box if record and record.seen == Seen.SOMETHING.value else None
