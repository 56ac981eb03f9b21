"""Synthetic pictures of three classes, as arrays, files and films."""

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from device.contract.arrays import Pixels
from device.contract.preprocess import Preprocessing

LABELS = ("red", "green", "blue")
SIZE_PX = 96
RULES = Preprocessing(height_px=SIZE_PX, width_px=SIZE_PX)


def picture(label: int, index: int, width: int = 120, height: int = 100) -> Pixels:
    """A seeded picture of one of `LABELS`, uint8 (height, width, 3)."""
    rng = np.random.default_rng((label, index))
    y, x = np.mgrid[0:height, 0:width] / max(width, height)
    # A disc on a ground of any grey; its colour is the class.
    centre, radius = rng.uniform(0.35, 0.55, 2), rng.uniform(0.25, 0.35)
    disc = ((x - centre[0]) ** 2 + (y - centre[1]) ** 2 < radius**2)[..., np.newaxis]
    colour = rng.uniform(0, 70, 3)
    colour[label] = rng.uniform(180, 255)
    values = np.where(disc, colour, rng.uniform(60, 190)) + rng.normal(0, 12, (height, width, 1))
    return np.clip(values, 0, 255).astype(np.uint8)


def square_picture(index: int, size_px: int = SIZE_PX) -> Pixels:
    """`picture`, of any class and as the network gets it."""
    return picture(index % len(LABELS), index, size_px, size_px)


def encoded(pixels: Pixels | Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """The bytes of a picture file."""
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    data = io.BytesIO()
    image.save(data, kind, **options)
    return data.getvalue()


def write_video(path: Path, codec: str, frames: int = 9) -> Path:
    """A film of red, green and blue discs, one after the other."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10)
        stream.width, stream.height = 128, 96
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.bit_rate = 4_000_000
        for number in range(frames):
            pixels = picture(number % len(LABELS), number, 128, 96)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path
