"""A picture of the places in which something may be: white where the device looks.

It covers the whole frame, at any size.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from device.contract.look.cells import Grid
from device.contract.look.change import Mask
from device.contract.photos import decode_frame, read_photo
from device.errors import MaskError, PhotoError

WHITE = 128
"""Grey, 0 to 255, from which a place counts as white."""


def read(path: Path) -> Image.Image:
    """A mask as a grey picture; transparent is allowed, as white paper is.

    Raises:
        MaskError: if it cannot be read, or nothing in it is white.
    """
    try:
        return of(read_photo(path))
    except (MaskError, PhotoError) as error:
        raise MaskError(f"{path}: {error}") from error


def of(data: bytes) -> Image.Image:
    """The same from the bytes of a picture.

    Raises:
        MaskError: if it cannot be decoded, or nothing in it is white.
    """
    try:
        picture = Image.fromarray(decode_frame(data)).convert("L")
    except PhotoError as error:
        raise MaskError(str(error)) from error
    if not white(picture).any():
        raise MaskError("nothing in it is white, so that no place is allowed")
    return picture


def white(picture: Image.Image) -> Mask:
    """Where a grey picture is white: bool (height, width)."""
    return np.asarray(picture) >= WHITE


def allowed(mask: Image.Image, region: tuple[float, float, float, float]) -> Callable[[Grid], Mask]:
    """The cells of a region's grid that are allowed: those of which at least half is white.

    Args:
        mask: of the whole frame, grey, of any size: it is scaled.
        region: left, top, right, bottom in fractions of the frame.
    """
    left, top, right, bottom = region
    box = (left * mask.width, top * mask.height, right * mask.width, bottom * mask.height)

    def cells(grid: Grid) -> Mask:
        rows, columns = grid.shape
        # What is left over at right and below is in no cell.
        wide = (box[2] - box[0]) * columns * grid.cell_width_px / grid.width_px
        high = (box[3] - box[1]) * rows * grid.cell_height_px / grid.height_px
        part = (box[0], box[1], box[0] + wide, box[1] + high)
        return white(mask.resize((columns, rows), Image.Resampling.BOX, box=part))

    return cells
