"""The worlds' flowers alone, before they are put into any scene.

The photos, crops, sizes, light and noise are those of `cases/26-events/world.py`; the picture is
the square of the subject itself, so nothing is lost to a place or to a box that is off.
"""

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from tests.bench.honesty.judge import NEW, SAME, TRAIN

CLASSES = ("rose", "tulip", "sunflower")
TAUGHT, JUDGED, ELSEWHERE = range(30), range(100, 160), range(160, 220)
"""Numbers of the photos of each class: those that worlds teach, and that tell the truth."""
FRAMES = 8
"""Of each photo that is taught: as many as an event of a world has."""
NOISE = 4.0


def bare(shared: Path, out: Path, worlds: Sequence[int]) -> Path:
    """A folder like that of a world, of pictures that show nothing but the subject.

    All worlds teach the same flowers, so one folder `train` does for all of them; what is judged is
    drawn once for each world, which the names tell where those of a world tell the place.
    """
    root = out / "bare"
    photos = {c: sorted((shared / "flowers" / c).glob("*.jpg")) for c in CLASSES}
    for side, numbers in ((TRAIN, TAUGHT), (SAME, JUDGED), (NEW, ELSEWHERE)):
        for label, number in itertools.product(CLASSES, numbers):
            draws = [(0, f) for f in range(FRAMES)] if side == TRAIN else [(w, 0) for w in worlds]
            for world, frame in draws:
                name = f"p{world}_e{number - numbers[0]:03d}_{frame}.jpg"
                path = root / side / label / name
                path.parent.mkdir(parents=True, exist_ok=True)
                subject(photos[label][number], f"{side} {label} {name}").save(path, quality=88)
    return root


def subject(photo: Path, draw: str) -> Image.Image:
    """The middle of a photo as small, bright and noisy as in an event."""
    rng = np.random.default_rng([*draw.encode()])
    image = Image.open(photo).convert("RGB")
    side = int(min(image.size) * 0.8)
    left, upper = (image.width - side) // 2, (image.height - side) // 2
    size = int(rng.uniform(110, 170))
    small = image.crop((left, upper, left + side, upper + side)).resize((size, size))
    lit = np.asarray(small) * rng.uniform(0.6, 1.15) + rng.normal(0, NOISE, (size, size, 3))
    return Image.fromarray(lit.clip(0, 255).astype(np.uint8))
