"""Photos inside a page: data URIs, so that the page needs no other file."""

import base64
import io

from PIL import Image

from device.contract.arrays import Pixels

JPEG_QUALITY = 82


def picture(pixels: Pixels, longest_px: int) -> str:
    """A photo, uint8 (h, w, 3), as a data URI, shrunk if it is larger than `longest_px`."""
    image = Image.fromarray(pixels)
    image.thumbnail((longest_px, longest_px))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=JPEG_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
