"""Rendered films of a camera that stands still: disturbances without a subject, visits with boxes.

Everything is drawn from seeds, so that a film is the same each time. Pictures are small; noise is
that of a cheap sensor.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

from device.contract.arrays import Box, Pixels

Picture = npt.NDArray[np.float32]
"""(h, w, 3), 0 to 255 before it is cut off."""
Rng = np.random.Generator
NOISE = 4.0
MOVED_S = 60
"""From when on a camera that is moved shows another place."""
GREY = np.array([0.5, 0.35, 0.15], np.float32)
"""How infrared light mixes the colours."""


@dataclass(frozen=True)
class Visit:
    """A subject that enters, rests and leaves."""

    enters_s: float
    leaves_s: float
    height: float
    """As a share of the frame's height, 0 to 1."""
    at: tuple[float, float] = (0.5, 0.5)
    """Where its middle rests, as shares of width and height."""
    seed: int = 0
    moves: float = 0.03
    """How far it sways at rest, as a share of the frame's height."""


@dataclass(frozen=True)
class Film:
    """What is filmed, and how."""

    seconds: float
    disturbance: str = "noise"
    visits: tuple[Visit, ...] = ()
    seed: int = 0
    fps: float = 2.0
    size_px: tuple[int, int] = (192, 144)
    behind: Callable[[float], Picture] | None = None
    """The place without visitors at a time in seconds; one that is drawn, if not given."""
    noise: float = NOISE
    """Standard deviation of what the sensor adds."""


@dataclass(frozen=True)
class Shot:
    """One frame of a film."""

    at_ms: int
    pixels: Pixels
    boxes: tuple[Box, ...] = ()
    """Of the subjects that are inside the frame, in pixels."""


@dataclass
class _Set:
    """The scene as it is being filmed."""

    film: Film
    behind: Picture
    other: Picture
    rng: Rng
    leaves: list[tuple[Picture, Picture, float, float]] = field(default_factory=list)


def shots(film: Film, due: Callable[[float], bool] = lambda at_s: True) -> Iterator[Shot]:
    """The frames of a film.

    Args:
        film: what is filmed.
        due: whether the frame of a time in seconds is wanted; asked when it would be drawn.
    """
    rng = np.random.default_rng([film.seed, 7])
    scene = _Set(film, background(film.size_px, film.seed), background(film.size_px, 99), rng)
    disturb = DISTURBANCES[film.disturbance]
    for number in range(int(film.seconds * film.fps)):
        at_s = number / film.fps
        if not due(at_s):
            continue
        has_moved = film.disturbance == "moved" and at_s >= MOVED_S
        behind = film.behind(at_s) if film.behind else scene.behind
        picture, boxes = scene.other if has_moved else behind, []
        if film.disturbance == "leaves":
            picture = _leaves(picture, at_s, scene)
        for visit in film.visits:
            picture, box = _with_visitor(picture, visit, at_s, film)
            boxes += [box] if box else []
        picture = disturb(picture, at_s, scene)
        if film.disturbance == "nudge":
            boxes = [_nudged(box, at_s, film) for box in boxes]
        noisy = picture + rng.normal(0, film.noise, picture.shape)
        yield Shot(round(1000 * at_s), noisy.clip(0, 255).astype(np.uint8), tuple(boxes))


def background(size_px: tuple[int, int], seed: int) -> Picture:
    """A place: patches and twigs of colours near one another."""
    rng = np.random.default_rng([seed, 1000])
    width = size_px[0]
    base, unit = rng.uniform(60, 170, 3), width / 480
    image = Image.new("RGB", size_px, tuple(int(v) for v in base))
    draw = ImageDraw.Draw(image)
    for _ in range(140):
        x, y, side = rng.uniform(-40, 480), rng.uniform(-40, 360), rng.uniform(8, 90)
        colour = tuple(int(v) for v in np.clip(base + rng.normal(0, 45, 3), 0, 255))
        if rng.random() < 0.6:
            corners = [x, y, x + side, y + side * rng.uniform(0.3, 1.2)]
            draw.ellipse([v * unit for v in corners], fill=colour)
        else:
            ends = [x, y, x + rng.normal(0, 120), y + rng.normal(0, 160)]
            draw.line([v * unit for v in ends], fill=colour, width=max(1, int(8 * unit)))
    return np.asarray(image.filter(ImageFilter.GaussianBlur(1.5 * unit)), np.float32)


# --- visitors ---------------------------------------------------------------------------------


def visitor(height_px: int, seed: int) -> tuple[Picture, Picture]:
    """A subject of patches, and its soft mask (h, w, 1) of 0 to 1."""
    rng = np.random.default_rng([seed, 2000])
    width_px = max(2, int(height_px * rng.uniform(0.7, 1.4)))
    body = rng.uniform(20, 235, 3)
    image = Image.new("RGB", (width_px, height_px), tuple(int(v) for v in body))
    draw = ImageDraw.Draw(image)
    for _ in range(8):
        x, y = rng.uniform(-0.2, 0.9, 2) * (width_px, height_px)
        colour = tuple(int(v) for v in np.clip(body + rng.normal(0, 60, 3), 0, 255))
        draw.ellipse([x, y, x + 0.4 * width_px, y + 0.3 * height_px], fill=colour)
    mask = Image.new("L", image.size, 0)
    ImageDraw.Draw(mask).ellipse([0, 0, width_px - 1, height_px - 1], fill=255)
    mask = mask.filter(ImageFilter.GaussianBlur(max(0.5, height_px / 40)))
    return np.asarray(image, np.float32), np.asarray(mask, np.float32)[..., None] / np.float32(255)


def _with_visitor(
    picture: Picture, visit: Visit, at_s: float, film: Film
) -> tuple[Picture, Box | None]:
    if not visit.enters_s <= at_s < visit.leaves_s:
        return picture, None
    width, height = film.size_px
    subject, mask = visitor(max(4, round(visit.height * height)), visit.seed)
    away = max(0.0, 1 - (at_s - visit.enters_s) / 1.5, 1 - (visit.leaves_s - at_s) / 1.5)
    sway = visit.moves * height * np.array([np.sin(at_s * 1.7), np.cos(at_s * 2.3)])
    x = visit.at[0] * width + sway[0] - subject.shape[1] / 2 - away * width
    y = visit.at[1] * height + sway[1] - subject.shape[0] / 2
    return _pasted(picture, subject, mask, round(x), round(y))


def _pasted(
    picture: Picture, subject: Picture, mask: Picture, x: int, y: int
) -> tuple[Picture, Box | None]:
    high, wide = picture.shape[:2]
    left, upper = max(0, x), max(0, y)
    right, lower = min(wide, x + subject.shape[1]), min(high, y + subject.shape[0])
    if right - left < 2 or lower - upper < 2:
        return picture, None
    inside = slice(upper - y, lower - y), slice(left - x, right - x)
    made = picture.copy()
    behind = made[upper:lower, left:right]
    behind += mask[inside] * (subject[inside] - behind)
    return made, (left, upper, right, lower)


# --- disturbances -----------------------------------------------------------------------------


def _sun(picture: Picture, at_s: float, scene: _Set) -> Picture:
    return picture * np.float32(0.85 + 0.45 * np.sin(at_s / 80))


def _clouds(picture: Picture, at_s: float, scene: _Set) -> Picture:
    """Shadows with soft edges that drift through the picture."""
    high, wide = picture.shape[:2]
    y, x = np.mgrid[:high, :wide].astype(np.float32) / wide
    drift = x * 3 + y + 0.08 * at_s
    wave = np.sin(drift) + 0.6 * np.sin(2.3 * drift + 2 * y + 1) + 0.3 * np.sin(0.05 * at_s)
    made: Picture = picture * (0.8 + 0.2 * np.tanh(2 * wave))[..., None].astype(np.float32)
    return made


def _rain(picture: Picture, at_s: float, scene: _Set) -> Picture:
    if at_s < 20:
        return picture
    high, wide = picture.shape[:2]
    layer = Image.new("L", (wide, high), 0)
    draw = ImageDraw.Draw(layer)
    for _ in range(int(scene.rng.integers(30, 90))):
        x, y = scene.rng.uniform(0, wide), scene.rng.uniform(-10, high)
        length = scene.rng.uniform(4, 14) * wide / 192
        draw.line([x, y, x + length / 5, y + length], fill=int(scene.rng.uniform(40, 130)))
    return picture + np.asarray(layer, np.float32)[..., None] * np.float32(0.6)


def _leaves(picture: Picture, at_s: float, scene: _Set) -> Picture:
    """Twigs in gusts of wind, at two corners; calm for the first minute."""
    high, wide = picture.shape[:2]
    if not scene.leaves:
        rng = np.random.default_rng([scene.film.seed, 5])
        for _ in range(14):
            side = int(rng.uniform(0.08, 0.16) * high)
            leaf, mask = visitor(side, int(rng.integers(1 << 30)))
            corner = np.array([0.12, 0.2]) if rng.random() < 0.5 else np.array([0.85, 0.75])
            x, y = (corner + rng.normal(0, 0.07, 2)) * (wide, high)
            scene.leaves.append((leaf * 0.5 + 50, mask, x, y))
    gust = 0.2 if at_s < 60 else 0.5 + 0.5 * np.sin(at_s / 11) ** 2
    for number, (leaf, mask, x, y) in enumerate(scene.leaves):
        sway = gust * 0.04 * wide * np.sin(at_s * (1.9 + 0.13 * number) + number)
        picture, _ = _pasted(picture, leaf, mask, round(x + sway), round(y + sway / 3))
    return picture


def _infrared(picture: Picture, at_s: float, scene: _Set) -> Picture:
    """Every two minutes between colour by day and grey by a lamp at night."""
    if int(at_s / 120) % 2 == 0:
        return picture
    high, wide = picture.shape[:2]
    y, x = np.mgrid[:high, :wide].astype(np.float32)
    away = ((x / wide - 0.5) ** 2 + (y / high - 0.5) ** 2)[..., None]
    made: Picture = np.repeat(picture @ GREY[:, None], 3, axis=2) * (1.1 - away)
    return made


def _exposure(picture: Picture, at_s: float, scene: _Set) -> Picture:
    """A camera that changes its exposure in steps, and its white balance with it."""
    step = int(at_s / 17)
    before, after = (np.random.default_rng([n, 3]).uniform(0.6, 1.5, 3) for n in (step, step + 1))
    share = min(1.0, (at_s - 17 * step) / 1.5)
    gains = before + share * (after - before)
    made: Picture = picture * (gains * 0.2 + gains.mean() * 0.8).astype(np.float32)
    return made


def _nudge(picture: Picture, at_s: float, scene: _Set) -> Picture:
    """Somebody touches the camera every two minutes."""
    x, y = _nudge_px(at_s, scene.film)
    return np.roll(picture, (y, x), axis=(0, 1))


def _nudge_px(at_s: float, film: Film) -> tuple[int, int]:
    """How far the picture has moved to the right and down."""
    if not (count := int(at_s / 120)):
        return 0, 0
    rng = np.random.default_rng([count, 4])
    x, y = rng.uniform(2, 7, 2) * rng.choice([-1, 1], 2) * film.size_px[0] / 192
    return round(x), round(y)


def _nudged(box: Box, at_s: float, film: Film) -> Box:
    """Where a box is seen then; what is pushed out of the frame at one side is ignored."""
    (x, y), (wide, high) = _nudge_px(at_s, film), film.size_px
    left, right = (min(max(0, side + x), wide) for side in box[::2])
    upper, lower = (min(max(0, side + y), high) for side in box[1::2])
    return left, upper, right, lower


def _lamp(picture: Picture, at_s: float, scene: _Set) -> Picture:
    """A lamp at one side goes on and off every 40 s."""
    if int(at_s / 40) % 2 == 0:
        return picture
    x = np.linspace(1.7, 0.7, picture.shape[1], dtype=np.float32)
    return picture * x[None, :, None]


DISTURBANCES: dict[str, Callable[[Picture, float, _Set], Picture]] = {
    "noise": lambda picture, at_s, scene: picture,
    "sun": _sun,
    "clouds": _clouds,
    "rain": _rain,
    "leaves": lambda picture, at_s, scene: picture,
    "infrared": _infrared,
    "exposure": _exposure,
    "nudge": _nudge,
    "moved": lambda picture, at_s, scene: picture,
    "lamp": _lamp,
}
