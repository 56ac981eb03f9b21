"""The mask as the page draws and shows it: white where the camera may look, black where not."""

import io
import os
from pathlib import Path

import numpy as np
from PIL import Image

from device.contract import mask
from device.contract.look.change import Mask
from device.errors import MaskError
from device.files import write_bytes

PNG = b"\x89PNG\r\n\x1a\n"
LEAST_SIDE_PX = 16
MOST_STRETCH = 1.05
"""A mask may be this much wider or narrower than the frame: sides are whole pixels."""


def save(path: Path, data: bytes, frame_px: tuple[int, int]) -> bool:
    """Save a mask; one that allows everything removes it instead.

    Args:
        path: of the file.
        data: a PNG.
        frame_px: width and height of the camera's frames; zeros if not known.

    Returns:
        Whether there is a mask now.

    Raises:
        MaskError: if it cannot be the mask.
        OSError: if the file cannot be written.
    """
    allowed = _checked(data, frame_px)
    if allowed.all():
        path.unlink(missing_ok=True)
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, _png(allowed), durable=True)
    return True


def load(path: Path) -> bytes | None:
    """The mask of a file as a PNG of black and white; None if there is no such file.

    Raises:
        MaskError: if the camera cannot use it.
    """
    return _png(mask.white(mask.read(path))) if os.path.exists(path) else None


def _checked(data: bytes, frame_px: tuple[int, int]) -> Mask:
    if not data.startswith(PNG):
        raise MaskError("it is no PNG")
    allowed = mask.white(mask.of(data))
    height, width = allowed.shape
    if min(width, height) < LEAST_SIDE_PX:
        raise MaskError(
            f"{width}x{height} pixels are too few: draw at least {LEAST_SIDE_PX} a side"
        )
    if all(frame_px) and not _fits(width / height, frame_px[0] / frame_px[1]):
        size = f"{frame_px[0]}x{frame_px[1]}"
        raise MaskError(f"{width}x{height} pixels have another shape than the camera's {size}")
    return allowed


def _fits(shape: float, wanted: float) -> bool:
    return max(shape / wanted, wanted / shape) <= MOST_STRETCH


def _png(allowed: Mask) -> bytes:
    data = io.BytesIO()
    Image.fromarray(np.where(allowed, 255, 0).astype(np.uint8)).save(data, "PNG", optimize=True)
    return data.getvalue()
