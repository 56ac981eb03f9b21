"""A picture of the places in which something may be: white where the device looks."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from device.contract.look.cells import Grid
from device.contract.look.change import Mask
from device.contract.photos import decode_frame, read_photo
from device.errors import MaskError, PhotoError
from device.settings.state import MASK_WHITE


def read(path: Path) -> Image.Image:
    """A mask as a grey picture, of any size; transparent is allowed, as white paper is.

    Raises:
        MaskError: if it cannot be read, or nothing in it is white.
    """
    try:
        picture = Image.fromarray(decode_frame(read_photo(path))).convert("L")
    except PhotoError as error:
        raise MaskError(f"{path}: {error}") from error
    if not (np.asarray(picture) >= MASK_WHITE).any():
        raise MaskError(f"{path}: nothing in it is white, so that no place is allowed")
    return picture


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
        small = mask.resize((columns, rows), Image.Resampling.BOX, box=part)
        return np.asarray(small) >= MASK_WHITE

    return cells
