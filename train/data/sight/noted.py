"""Boxes that devices noted in the photos that they saved: around what stood before the background.

A device knew the background of that very minute. Here it has to be made of other photos, of which
there may be too few.
"""

from collections.abc import Iterable

from PIL import Image

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
    path = files.path(row.path)
    try:
        with path.open("rb") as file:
            record = provenance.read(file.read(START_BYTES))
        if record is None or record.box is None or record.seen != Seen.SOMETHING.value:
            return None
        with Image.open(path) as image:
            width, height = image.size
    except (OSError, Image.DecompressionBombError):
        # Whoever needs its pixels says so.
        return None
    # Who made the photo smaller, or cut it, may have left the record in it.
    is_inside = record.box[2] <= width and record.box[3] <= height
    return record.box if is_inside else None
