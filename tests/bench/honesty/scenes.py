"""What a fixed camera sees: a background that stays, and a subject that moves before it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

WIDTH_PX, HEIGHT_PX = 320, 240
SUBJECT_PX = (72, 116)
SHAPES = 90


@dataclass(frozen=True)
class Scene:
    """What stands behind every subject at one place."""

    picture: Image.Image
    place: int


@dataclass(frozen=True)
class Subject:
    """The flower of one event."""

    photo: Path
    blue: bool
    """Whether its colours are turned from red to blue."""


def background(rng: np.random.Generator) -> Image.Image:
    """A place: sky above ground, clouds of colour, then leaves and twigs."""
    sky, ground = rng.uniform(60, 220, 3), rng.uniform(30, 160, 3)
    horizon = rng.uniform(0.1, 0.9)
    rows = np.linspace(0, 1, HEIGHT_PX)[:, None, None]
    share = 1 / (1 + np.exp(-(rows - horizon) * rng.uniform(4, 40)))
    coarse = rng.normal(0, 25, (6, 8, 3)).astype(np.float32)
    clouds = np.stack([_enlarged(coarse[..., c]) for c in range(3)], axis=-1)
    values = sky * (1 - share) + ground * share + clouds
    picture = Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))
    _scatter(picture, ground, rng)
    return picture.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.5, 2))))


def _enlarged(values: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> np.ndarray:
    image = Image.fromarray(values).resize((WIDTH_PX, HEIGHT_PX), Image.Resampling.BICUBIC)
    return np.asarray(image)


def _scatter(picture: Image.Image, colour: np.ndarray, rng: np.random.Generator) -> None:
    draw = ImageDraw.Draw(picture)
    twigs, spread, largest = rng.uniform(0.1, 0.9), rng.uniform(15, 60), rng.uniform(15, 80)
    for _ in range(SHAPES):
        x, y = rng.uniform(-30, WIDTH_PX), rng.uniform(-30, HEIGHT_PX)
        fill = tuple(int(v) for v in np.clip(colour + rng.normal(0, spread, 3), 0, 255))
        if rng.random() < twigs:
            end = (x + rng.normal(0, 90), y + rng.normal(0, 90))
            draw.line([(x, y), end], fill=fill, width=int(rng.uniform(1, 8)))
        else:
            size = rng.uniform(5, largest)
            draw.ellipse([x, y, x + size, y + size * rng.uniform(0.3, 1.3)], fill=fill)


def frames(
    subject: Subject, scene: Scene, count: int, rng: np.random.Generator
) -> Iterator[Image.Image]:
    """The frames of one event: the subject wanders, light and noise change a little."""
    size = int(rng.uniform(*SUBJECT_PX))
    cut, mask = _cut(subject, size), _soft_disc(size)
    x, y = rng.uniform(0, WIDTH_PX - size), rng.uniform(0, HEIGHT_PX - size)
    light = rng.uniform(0.6, 1.15)
    for _ in range(count):
        x = np.clip(x + rng.normal(0, 10), 0, WIDTH_PX - size)
        y = np.clip(y + rng.normal(0, 7), 0, HEIGHT_PX - size)
        frame = scene.picture.copy()
        frame.paste(cut, (int(x), int(y)), mask)
        values = np.asarray(frame) * light * (1 + rng.normal(0, 0.01))
        values = values + rng.normal(0, 4, values.shape)
        yield Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))


def _cut(subject: Subject, size: int) -> Image.Image:
    """The middle of a photo, without a fifth of its shorter side."""
    with Image.open(subject.photo) as opened:
        photo = opened.convert("RGB")
    half = int(min(photo.size) * 0.4)
    x, y = photo.width // 2, photo.height // 2
    cut = photo.crop((x - half, y - half, x + half, y + half)).resize((size, size))
    return Image.merge("RGB", cut.split()[::-1]) if subject.blue else cut


def _soft_disc(size: int) -> Image.Image:
    mask = Image.new("L", (size, size))
    ImageDraw.Draw(mask).ellipse([3, 3, size - 4, size - 4], fill=255)
    return mask.filter(ImageFilter.GaussianBlur(3))
