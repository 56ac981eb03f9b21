"""The mask as the page draws and shows it: where the camera may look, white, and where not, black.

It covers the whole frame, at any size of the same shape.
"""

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from device.contract.photos import decode, read_photo
from device.contract.preprocess import Preprocessing
from device.errors import MaskError, PhotoError, one_line
from device.files import write_bytes
from device.settings.state import MASK_WHITE

PNG = b"\x89PNG\r\n\x1a\n"
LEAST_SIDE_PX, MOST_SIDE_PX = 16, 2048
MOST_STRETCH = 1.05
"""A mask may be this much wider or narrower than the frame: sides are whole pixels."""

Allowed = npt.NDArray[np.bool_]
"""(rows, columns): where the camera may look."""


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
        MaskError: if it cannot be read.
    """
    try:
        return _png(_allowed(read_photo(path))) if path.exists() else None
    except (PhotoError, OSError) as error:
        raise MaskError(f"{path}: {one_line(error)}") from error


def _checked(data: bytes, frame_px: tuple[int, int]) -> Allowed:
    if not data.startswith(PNG):
        raise MaskError("it is no PNG")
    try:
        allowed = _allowed(data)
    except PhotoError as error:
        raise MaskError(str(error)) from error
    height, width = allowed.shape
    if min(width, height) < LEAST_SIDE_PX:
        raise MaskError(
            f"{width}x{height} pixels are too few: draw at least {LEAST_SIDE_PX} a side"
        )
    if all(frame_px) and not _fits(width / height, frame_px[0] / frame_px[1]):
        size = f"{frame_px[0]}x{frame_px[1]}"
        raise MaskError(f"{width}x{height} pixels have another shape than the camera's {size}")
    if not allowed.any():
        raise MaskError("it leaves nothing to look at")
    return allowed


def _fits(shape: float, wanted: float) -> bool:
    return max(shape / wanted, wanted / shape) <= MOST_STRETCH


def _allowed(data: bytes) -> Allowed:
    """Raises PhotoError."""
    rules = Preprocessing(height_px=MOST_SIDE_PX, width_px=MOST_SIDE_PX, jpeg_decode_scale=1)
    image = decode(data, rules, max_pixels=MOST_SIDE_PX**2)
    return np.asarray(image.convert("L")) >= MASK_WHITE


def _png(allowed: Allowed) -> bytes:
    data = io.BytesIO()
    Image.fromarray(np.where(allowed, 255, 0).astype(np.uint8)).save(data, "PNG", optimize=True)
    return data.getvalue()
