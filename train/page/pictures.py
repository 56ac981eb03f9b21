"""Arrays as pictures inside a page: data URIs, so that the page needs no other file."""

import base64
import io
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw
from scipy.ndimage import map_coordinates

from device.contract.arrays import Box, Pixels

Floats = npt.NDArray[np.floating]

JPEG_QUALITY = 82
WEBP_QUALITY = 70
FOR, AGAINST = np.array((40, 170, 120)), np.array((235, 110, 40))
"""Colours of evidence, as on the page."""
STRONGEST_TINT = 0.8
LINE, LINE_PX = (255, 200, 0), 3
"""Of a box's edge."""


@dataclass(frozen=True)
class Picture:
    """What an `img` element needs."""

    src: str
    """A data URI."""
    width: int
    height: int


def photo(pixels: Pixels, longest_px: int, box: Box | None = None) -> Picture:
    """A photo as JPEG, shrunk if it is larger than `longest_px`.

    Args:
        pixels: uint8 (h, w, 3).
        longest_px: the longer side of the picture is at most this.
        box: in pixels of the photo; its edge is drawn, as thick whatever the size.
    """
    image = Image.fromarray(pixels)
    image.thumbnail((longest_px, longest_px))
    if box is not None:
        left, upper, right, lower = (round(end * image.width / pixels.shape[1]) for end in box)
        edges = (left, upper, right - 1, lower - 1)
        ImageDraw.Draw(image).rectangle(edges, outline=LINE, width=LINE_PX)
    return _encoded(image, "JPEG", quality=JPEG_QUALITY)


def drawing(pixels: Pixels) -> Picture:
    """A feature map or an overlay, uint8 (h, w) or (h, w, 3), as WebP."""
    return _encoded(Image.fromarray(pixels), "WEBP", quality=WEBP_QUALITY, method=4)


def exact(pixels: Pixels) -> Picture:
    """A few pixels, uint8 (h, w) or (h, w, 3), as PNG, which the browser magnifies."""
    return _encoded(Image.fromarray(pixels), "PNG", optimize=True)


def _encoded(image: Image.Image, kind: str, **options: object) -> Picture:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    return Picture(f"data:image/{kind.lower()};base64,{data}", image.width, image.height)


def stretched(values: Floats) -> Pixels:
    """Values from 0 up as greys: 0 is black, the largest white.

    Args:
        values: (h, w); anything below 0 is black, too.
    """
    top = max(float(values.max()), 1e-9)
    return _bytes(values / top)


def signed(values: Floats) -> Pixels:
    """Values around 0 as greys or colours: 0 is mid grey, the largest magnitude black or white."""
    top = max(float(np.abs(values).max()), 1e-9)
    return _bytes(0.5 + 0.5 * values / top)


def clipped(values: Floats) -> Pixels:
    """Values meant to be bytes, rounded and cut off at 0 and 255."""
    return _bytes(values / 255)


def _bytes(shares: Floats) -> Pixels:
    return np.rint(np.clip(shares, 0, 1) * 255).astype(np.uint8)


def spread(cells: Floats, size_px: int, first_centre_px: float, step_px: int) -> Floats:
    """A small map enlarged over the picture, linearly between the centres of its cells.

    Args:
        cells: (n, n).
        size_px: side of the picture.
        first_centre_px: pixel coordinate of the centre of cell 0.
        step_px: the others follow every so many pixels.

    Returns:
        (size_px, size_px).
    """
    position = (np.arange(size_px) - first_centre_px) / step_px
    grid = np.meshgrid(position, position, indexing="ij")
    values: Floats = map_coordinates(cells.astype(np.float64), grid, order=1, mode="nearest")
    return values


def tinted(pixels: Pixels, evidence: Floats, limit: float) -> Pixels:
    """A photo in grey, green where the evidence is for, orange where it is against.

    Args:
        pixels: uint8 (h, w, 3).
        evidence: (h, w), around 0.
        limit: the magnitude that gets the strongest tint.
    """
    grey = np.repeat(pixels.mean(axis=2, keepdims=True), 3, axis=2)
    strength = np.clip(np.abs(evidence) / max(limit, 1e-9), 0, 1)[..., np.newaxis]
    colour = np.where(evidence[..., np.newaxis] > 0, FOR, AGAINST)
    # Keep the light and dark of the photo visible in the colour.
    shaded = colour * (0.45 + 0.55 * grey / 255)
    return clipped(grey + STRONGEST_TINT * strength * (shaded - grey))
