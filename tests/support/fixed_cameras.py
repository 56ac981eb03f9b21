"""Pictures of fixed cameras: places with a background, visits of a subject that moves a little."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from train.data.looks import Small

WIDTH, HEIGHT = 160, 120
Floats = npt.NDArray[np.float64]


def texture(seed: int, blur: float = 3.0) -> Floats:
    """Blobs of colour, (120, 160, 3)."""
    rng = np.random.default_rng(seed)
    small = rng.uniform(20, 235, (HEIGHT // 6, WIDTH // 6, 3)).astype(np.uint8)
    large = Image.fromarray(small).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
    return np.asarray(large.filter(ImageFilter.GaussianBlur(blur)), np.float64)


def frame(place: int, subject: int, x: float, y: float, light: float, noise: int) -> Image.Image:
    """One photo; without a subject for -1. `x` and `y` are 0..1."""
    picture = texture(1000 + place)
    if subject >= 0:
        look = texture(2000 + subject, 1.0)[:48, :48]
        rows, columns = np.mgrid[-1:1:48j, -1:1:48j]
        mask = np.clip((1 - np.hypot(rows, columns)) * 6, 0, 1)[:, :, None]
        top, left = int(y * (HEIGHT - 48)), int(x * (WIDTH - 48))
        part = picture[top : top + 48, left : left + 48]
        picture[top : top + 48, left : left + 48] = mask * look + (1 - mask) * part
    grain = np.random.default_rng(noise).normal(0, 2, picture.shape)
    return Image.fromarray(np.clip(picture * light + grain, 0, 255).astype(np.uint8))


@dataclass
class Camera:
    """Photos with the truth about them."""

    thumbnails: list[npt.NDArray[np.float32]] = field(default_factory=list)
    details: list[npt.NDArray[np.uint8]] = field(default_factory=list)
    events: list[int] = field(default_factory=list)
    places: list[int] = field(default_factory=list)

    def add(self, picture: Image.Image, event: int, place: int) -> None:
        self.thumbnails.append(Small.of(picture).thumbnail)
        self.details.append(Small.of(picture).detail)
        self.events.append(event)
        self.places.append(place)

    def visit(self, event: int, place: int, frames: int) -> None:
        """A subject of its own that moves a little; the light is the visit's."""
        rng = np.random.default_rng(event)
        light = rng.uniform(0.7, 1.1)
        x, y = rng.uniform(0, 1, 2)
        for number in range(frames):
            x, y = np.clip(np.array((x, y)) + rng.normal(0, 0.03, 2), 0, 1)
            self.add(frame(place, event, x, y, light, 100 * event + number), event, place)

    def pictures(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]:
        return np.stack(self.thumbnails), np.stack(self.details)


def visits(places: int, events: int, frames: int) -> Camera:
    """Visits to places in turn."""
    camera = Camera()
    for event in range(events):
        camera.visit(event, event % places, frames)
    return camera


def by_hand(photos: int, seed: int = 0) -> Camera:
    """Photos each of a scene of its own."""
    camera = Camera()
    for number in range(photos):
        light = texture(seed + 5000 + number)
        camera.add(Image.fromarray(light.astype(np.uint8)), number, -1)
    return camera


def torn_and_merged(found: Sequence[int], true: Sequence[int]) -> tuple[int, int]:
    """How many true events are in several pieces, and how many too many are in one."""
    pieces: dict[int, set[int]] = {}
    mixed: dict[int, set[int]] = {}
    for one, other in zip(found, true, strict=True):
        pieces.setdefault(other, set()).add(one)
        mixed.setdefault(one, set()).add(other)
    torn = sum(len(roots) > 1 for roots in pieces.values())
    return torn, sum(len(events) - 1 for events in mixed.values())
