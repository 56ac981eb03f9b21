"""Small pictures by the hundred thousand: smooth colours with a few shapes, some copied."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

Bytes = npt.NDArray[np.uint8]

CLASSES = 10
COPIES = 10
"""One in so many shows nearly what an earlier one does."""
WIDTH, HEIGHT = 96, 72
BLOCK = 4096


def render(folder: Path, photos: int) -> None:
    """Write JPEG files into class folders, unless they are there already."""
    done = folder / "DONE.txt"
    if done.exists():
        return
    for label in range(CLASSES):
        (folder / f"class {label}").mkdir(parents=True, exist_ok=True)
    last = _drawn(0)
    for number in range(photos):
        copied = number % COPIES == COPIES - 1
        picture = last if copied else _drawn(number)
        file = folder / f"class {number % CLASSES}" / f"{_name(number)}.jpg"
        file.write_bytes(_jpeg(picture, 60 if copied else 85))
        last = picture
    done.write_text("pictures of `make bench-scale`\n")


def _name(number: int) -> str:
    """No number that counts: names that count are taken for frames of a film."""
    return f"{number * 2654435761 % 2**32:08x}{number:x}"


def _drawn(number: int) -> Image.Image:
    rng = np.random.default_rng(number)
    ground = Image.fromarray(rng.integers(0, 256, (4, 5, 3), np.uint8))
    picture = ground.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(picture)
    for _ in range(4):
        x, y, size = rng.uniform(0, WIDTH), rng.uniform(0, HEIGHT), rng.uniform(6, 28)
        pen.ellipse((x - size, y - size, x + size, y + size), tuple(rng.integers(0, 256, 3)))
    return picture


def _jpeg(picture: Image.Image, quality: int) -> bytes:
    data = io.BytesIO()
    picture.save(data, "JPEG", quality=quality)
    return data.getvalue()


def details(photos: int) -> Iterator[Bytes]:
    """The same kind of pictures as uint8 (m, 32, 32, 3), in blocks: no file, no decoder."""
    rng = np.random.default_rng(0)
    for start in range(0, photos, BLOCK):
        count = min(BLOCK, photos - start)
        coarse = rng.uniform(0, 256, (count, 4, 4, 3)).astype(np.float32)
        fine = rng.normal(0, 24, (count, 8, 8, 3)).astype(np.float32)
        made = coarse.repeat(8, 1).repeat(8, 2) + fine.repeat(4, 1).repeat(4, 2)
        copies = np.arange(COPIES - 1, count, COPIES)
        made[copies] = made[copies - 1] * 0.95 + rng.normal(0, 2, (len(copies), 32, 32, 3))
        yield made.clip(0, 255).astype(np.uint8)
