"""A stand-in data set: five kinds of flowers, drawn by numpy and Pillow instead of photographed.

A flower is a mesh in three dimensions, so that views, foreshortening and shading follow from one
turn of the mesh. Colours, backgrounds and light overlap between the classes on purpose: only
the shape distinguishes them, as in photos.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter
from rich.console import Console
from rich.progress import track

from device.errors import UsageError
from device.files import replacing, write_text

Floats = npt.NDArray[np.floating]
Mesh = Floats  # (n, 16): four corners x, y, z in flower radii, then R, G, B, A in 0..1
Rng = np.random.Generator

CLASS_NAMES: tuple[str, ...] = ("daisy", "dandelion", "rose", "sunflower", "tulip")
"""Folder names of the rendered classes, in the order of their class indices."""
NOTE_NAME = "RENDERED.txt"
MIN_SIZE_PX = 32
_SUPERSAMPLE = 2  # canvas pixels per picture pixel: shrinking the canvas smooths the edges
_MIN_ASPECT = 0.875  # 256 px shortened by this still leave the 224 px that MobileNet sees
_JPEG_QUALITY = (70, 92)
_GOLDEN_ANGLE = np.pi * (3 - np.sqrt(5))  # rad from one floret to the next in most plants
_PERSPECTIVE = 0.18  # how much larger a point one flower radius nearer to the camera appears
_SHADE, _SUNLIGHT, _TRANSLUCENCE = 0.66, 0.45, 0.45  # from everywhere; the sun; through a petal

_PAINTS = {
    "white": (0.96, 0.95, 0.92),
    "cream": (0.97, 0.90, 0.68),
    "yellow": (0.98, 0.82, 0.10),
    "orange": (0.97, 0.55, 0.10),
    "red": (0.80, 0.08, 0.12),
    "pink": (0.94, 0.50, 0.66),
    "purple": (0.58, 0.28, 0.66),
    "brown": (0.34, 0.20, 0.10),
    "leaf": (0.30, 0.48, 0.16),
    "olive": (0.46, 0.50, 0.13),
}
_GREENS = "leaf olive"
_BACKDROPS = (
    ((0.05, 0.14, 0.05), (0.50, 0.66, 0.30), (7, 7), 0.04),  # foliage
    ((0.10, 0.24, 0.05), (0.45, 0.62, 0.20), (16, 60), 0.04),  # lawn
    ((0.14, 0.09, 0.06), (0.55, 0.42, 0.32), (36, 36), 0.04),  # soil
    ((0.30, 0.52, 0.85), (0.90, 0.94, 0.98), (4, 3), 0.04),  # sky
    ((0.26, 0.16, 0.09), (0.72, 0.55, 0.38), (42, 2), 0.04),  # wood
    ((0.45, 0.43, 0.42), (0.92, 0.90, 0.86), (2, 2), 0.15),  # wall, painted in any colour
    ((0.01, 0.01, 0.02), (0.14, 0.14, 0.13), (3, 3), 0.02),  # a dark room
)
"""Dark and light colour, cells of the grain down and across, and spread of the tint."""


class _Petal(NamedTuple):
    """The petals (or leaves) of one ring; lengths in flower radii, angles in rad."""

    size: tuple[float, float]  # length and half width
    angle: tuple[float, float]  # between foot and flower plane, and how much it grows to the tip
    outline: tuple[float, float]  # share of the length where widest; tip from 0.1 blunt to 1 acute
    foot: tuple[float, float] = (0.0, 0.0)  # distance from the flower's axis, and height
    cup: float = 0.3  # curvature across: one over the radius of the trough
    jitter: float = 0.08  # spread of angles and of relative sizes between the petals
    steps: tuple[int, int] = (8, 3)  # quadrilaterals along and across


class _Pose(NamedTuple):
    """Where a flower is: centre and radius as shares of the picture, angles in rad."""

    x: float
    y: float
    radius: float
    tilt: float  # 0 is seen from above, pi/2 from the side
    roll: float = 0.0


def _colour(rng: Rng, names: str) -> Floats:
    """RGB (3,) in 0..1: one of the `names`, each about twice as frequent as the next."""
    known = names.split()
    paint = np.array(_PAINTS[known[(int(rng.geometric(0.5)) - 1) % len(known)]])
    return np.clip(paint * rng.uniform(0.85, 1.06) + rng.normal(0, 0.03, 3), 0.02, 1.0)


def _mesh(corners: Floats, rgb: Floats, alpha: float = 1.0) -> Mesh:
    """Corners (..., 4, 3) and colours that broadcast to (..., 3) as one list."""
    rgb = np.broadcast_to(rgb, (*corners.shape[:-2], 3)).reshape(-1, 3)
    return np.column_stack([corners.reshape(-1, 12), rgb, np.full(len(rgb), alpha)])


def _ring(rng: Rng, petal: _Petal, count: int, start: float, paint: Floats, depth: float) -> Mesh:
    """`count` petals from azimuth `start` (rad) upwards; `depth`: brightness at their feet."""
    u = (1 - np.cos(np.linspace(0, np.pi, petal.steps[0] + 1))) / 2  # dense where outlines bend
    v = np.linspace(-1, 1, petal.steps[1] + 1)
    swing, bend, growth, twist = rng.normal(0, petal.jitter, (4, count, 1))
    angle = petal.angle[0] + swing + (petal.angle[1] + bend) * u
    step = np.diff(u, prepend=0.0) * petal.size[0] * (1 + growth)
    radial = petal.foot[0] + np.cumsum(step * np.cos(angle), axis=1)
    height = petal.foot[1] + np.cumsum(step * np.sin(angle), axis=1)
    widest, tip = petal.outline
    width = (u / widest) ** (tip * widest / (1 - widest)) * ((1 - u) / (1 - widest)) ** tip
    across = petal.size[1] * ((1 + growth) * width)[..., None] * v
    wave = twist + 2 * petal.jitter * np.sin(9 * u + 20 * twist)
    lift = (1 - np.cos(petal.cup * across)) / petal.cup + wave[..., None] * across
    out = radial[..., None] - lift * np.sin(angle)[..., None]
    up = height[..., None] + lift * np.cos(angle)[..., None]
    side = np.sin(petal.cup * across) / petal.cup
    azimuth = (start + np.arange(count) * (2 * np.pi / count))[:, None, None]
    cos, sin = np.cos(azimuth), np.sin(azimuth)
    p = np.stack([out * cos - side * sin, out * sin + side * cos, up], axis=-1)
    corners = np.stack([p[:, :-1, :-1], p[:, 1:, :-1], p[:, 1:, 1:], p[:, :-1, 1:]], axis=3)
    blend, edge = (u[1:, None, None] + u[:-1, None, None]) / 2, (v[1:, None] + v[:-1, None]) / 2
    tone = (0.8 + 0.2 * blend) * (1 - 0.14 * edge**2) * rng.normal(1, 0.05, (count, 1, 1, 1))
    # In the shade of its neighbours a petal's colour is deeper, not only darker.
    return _mesh(corners, (blend * paint + (1 - blend) * depth * paint**1.5) * tone)


def _disk(rng: Rng, radius: float, dome: float, count: int, inner: Floats, rim: Floats) -> Mesh:
    """A dome of lozenge florets in the spiral order of a sunflower, RGB from `inner` to `rim`."""
    k, half = np.arange(count)[:, None], 1.6 / np.sqrt(count)
    share = np.sqrt((k + 0.5) / count) + half * np.array([-1, 0, 1, 0])
    azimuth = k * _GOLDEN_ANGLE + half / np.maximum(share, half) * np.array([0, -0.8, 0, 0.8])
    up = dome * (1 - share**2) + rng.normal(0, 0.015, share.shape)
    x, y = radius * share * np.cos(azimuth), radius * share * np.sin(azimuth)
    blend, tone = share[:, 1:2] ** 1.5, rng.normal(1, 0.17, (count, 1))
    return _mesh(np.stack([x, y, up], axis=-1), (inner + (rim - inner) * blend) * tone)


def _calyx(rng: Rng, count: int, length: float, elevation: float) -> Mesh:
    """The green leaves below a flower."""
    petal = _Petal((length, 0.3 * length), (elevation, 0.3), (0.6, 0.9), (0.05, -0.1))
    return _ring(rng, petal, count, 0.0, _colour(rng, _GREENS), 0.85)


def _daisy(rng: Rng, paint: Floats) -> Mesh:
    count, disk = int(rng.integers(12, 30)), rng.uniform(0.2, 0.34)
    size, angle = (1 - disk, rng.uniform(1.7, 2.6) / count), rng.uniform((-0.25, -0.6), (0.5, 0.2))
    petal = _Petal(size, tuple(angle), (0.68, 0.25), (0.8 * disk, 0.0), cup=2.0)
    yellow = np.array([0.90, rng.uniform(0.55, 0.75), 0.08])
    dome = _disk(rng, disk, disk * rng.uniform(0.3, 0.8), 110, yellow, 0.9 * yellow)
    petals = _ring(rng, petal, count, 0.0, paint, 0.85)
    return np.concatenate([petals, dome, _calyx(rng, 9, 1.1 * disk, 0.1)])


def _dandelion(rng: Rng, paint: Floats) -> Mesh:
    meshes, opening = [_calyx(rng, 12, 0.35, -0.9)], rng.uniform(0.0, 0.5)
    if rng.random() < 0.35:
        return np.concatenate([*meshes, _seed_ball(rng)])
    for k, share in enumerate(np.linspace(1.0, 0.2, 7)):
        angle = (opening + 1.3 * (1 - share), rng.uniform(-0.5, 0.1))
        petal = _Petal((share, 0.04), angle, (0.75, 0.1), jitter=0.1, steps=(4, 1))
        meshes.append(_ring(rng, petal, 42 - 4 * k, rng.random(), paint, 0.65 + 0.04 * k))
    return np.concatenate(meshes)


def _seed_ball(rng: Rng) -> Mesh:
    """The dandelion in fruit: stalks with a tuft of hairs each, some blown away by the wind."""
    count = int(rng.integers(120, 200))
    z, azimuth = np.linspace(1, -0.85, count), np.arange(count) * _GOLDEN_ANGLE
    flat = np.sqrt(1 - z**2)
    seeds = np.stack([flat * np.cos(azimuth), flat * np.sin(azimuth), z], axis=1)
    seeds = seeds[seeds @ rng.normal(size=3) < rng.uniform(0.6, 3.0)]
    tufts = np.repeat(seeds, 8, axis=0)
    start = np.concatenate([0.12 * seeds, 0.78 * tufts])
    end = np.concatenate([0.78 * seeds, tufts + rng.normal(0, 0.1, tufts.shape)])
    aside = np.cross(end - start, rng.normal(size=end.shape))
    aside *= 0.005 / np.maximum(np.linalg.norm(aside, axis=1, keepdims=True), 1e-6)
    corners = np.stack([start - aside, start + aside, end + aside, end - aside], axis=1)
    hairs, brown = _mesh(corners, np.array(_PAINTS["white"]), 0.6), np.array(_PAINTS["brown"])
    return np.concatenate([hairs, _disk(rng, 0.13, 0.13, 24, brown, 1.3 * brown)])


def _rose(rng: Rng, paint: Floats) -> Mesh:
    """Broad petals along a spiral, rolled tight within and bent outwards at the rim."""
    meshes, opening = [_calyx(rng, 5, 0.6, rng.uniform(-0.6, 0.5))], rng.uniform(0.55, 1.15)
    for k, share in enumerate(np.linspace(0.0, 1.0, int(rng.integers(16, 28)))):
        size, foot = (0.75 + 0.3 * share, 0.2 + 0.42 * share), (0.03 + 0.12 * share, 0.0)
        angle, cup = (1.5 - opening * share, 0.25 - 0.9 * share**2), 1 / (0.12 + 0.6 * share)
        petal = _Petal(size, angle, (0.66, 0.22), foot, cup, jitter=0.07, steps=(9, 7))
        meshes.append(_ring(rng, petal, 1, k * _GOLDEN_ANGLE, paint, 0.4 + 0.3 * share))
    return np.concatenate(meshes)


def _sunflower(rng: Rng, paint: Floats) -> Mesh:
    meshes, disk = [_calyx(rng, 14, 0.7, -0.4)], rng.uniform(0.38, 0.56)
    for k in range(int(rng.integers(2, 4))):
        size = (1.02 - disk - 0.05 * k, rng.uniform(0.08, 0.11))
        angle = (rng.uniform(-0.1, 0.3) + 0.2 * k, rng.uniform(-0.5, 0.4))
        petal = _Petal(size, angle, (0.42, 0.85), (0.92 * disk, 0.0), cup=3.0, jitter=0.13)
        meshes.append(_ring(rng, petal, int(rng.integers(15, 24)), rng.random(), paint, 0.85))
    brown, dome = np.array(_PAINTS["brown"]) * rng.uniform(0.5, 1.3), rng.uniform(0.03, 0.14)
    meshes.append(_disk(rng, disk, dome, 260, brown * rng.uniform(0.6, 1.8, 3), brown))
    return np.concatenate(meshes)


def _tulip(rng: Rng, paint: Floats) -> Mesh:
    """A cup of twice three petals, from closed to wide open."""
    meshes, opening, tip = [], rng.uniform(0.0, 1.0) ** 1.5, rng.uniform(0.35, 0.7)
    for k in range(2):
        size = (1.7 - 0.08 * k, rng.uniform(0.5, 0.6))
        angle, cup = (0.35 - 0.1 * k, 1.45 - 0.9 * opening + 0.1 * k), 1.9 - 0.8 * opening
        petal = _Petal(size, angle, (0.5, tip), (0.06, -0.7), cup, jitter=0.06, steps=(10, 8))
        meshes.append(_ring(rng, petal, 3, k * np.pi / 3, paint * (1 - 0.1 * k), 0.85))
    return np.concatenate(meshes)


_KINDS = {
    "daisy": (_daisy, 0.4, (0.9, 0.20, 0.6), "white pink yellow purple orange"),
    "dandelion": (_dandelion, 0.5, (1.5, 0.22, 0.6), "yellow orange white cream pink"),
    "rose": (_rose, 0.6, (1.0, 0.36, 0.5), "red pink yellow white orange"),
    "sunflower": (_sunflower, 0.5, (1.2, 0.50, 0.2), "yellow orange red cream"),
    "tulip": (_tulip, 1.5, (2.4, 0.25, 1.2), "pink red purple yellow white orange"),
}
"""Builder; usual tilt (rad); leaf length, half width, elevation; colours, the common ones first."""


def _bytes(colours: Floats) -> npt.NDArray[np.uint8]:
    return (np.clip(colours, 0, 1) * 255 + 0.5).astype(np.uint8)


def _noise(rng: Rng, size: tuple[int, int], rows: int, columns: int) -> Floats:
    """Smooth noise (height, width, 1), about 0..1, for a `size` of (width, height) pixels."""
    cells = Image.fromarray(rng.random((rows + 1, columns + 1), dtype=np.float32))
    return np.asarray(cells.resize(size, Image.Resampling.BICUBIC))[..., None]


def _backdrop(rng: Rng, size: tuple[int, int]) -> Image.Image:
    """The background: a textured ground, blobs of petal colours, blades of grass."""
    dark, light, (rows, columns), spread = _BACKDROPS[rng.integers(len(_BACKDROPS))]
    grain = 0.65 * _noise(rng, size, rows, columns)
    grain = grain + 0.35 * _noise(rng, size, 3 * rows, 3 * columns)
    low, high = np.array([dark, light], dtype=np.float32) + rng.normal(0, spread, 3)
    image = Image.fromarray(_bytes(low + (high - low) * grain))
    if rng.random() < 0.5:
        draw = ImageDraw.Draw(image)
        for _ in range(rng.integers(2, 14)):
            (x, y), (rx, ry) = rng.random(2) * size, rng.uniform(0.02, 0.12, 2) * size
            paint = np.array(_PAINTS[str(rng.choice(list(_PAINTS)))]) * rng.uniform(0.5, 1)
            draw.ellipse((x - rx, y - ry, x + rx, y + ry), fill=tuple(_bytes(paint).tolist()))
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.01, 0.04) * size[0]))
    _grass(image, rng, int(rng.integers(-60, 60)))
    return image


def _grass(image: Image.Image, rng: Rng, count: int) -> None:
    """Blades that rise from below the picture; none if `count` is negative."""
    draw, (width, height) = ImageDraw.Draw(image), image.size
    for _ in range(count):
        x, lean = rng.uniform(-0.1, 1.1) * width, rng.normal(0, 0.15) * width
        top, half = height * rng.uniform(0.1, 0.95), width * rng.uniform(0.005, 0.025)
        green = _bytes(_colour(rng, _GREENS) * rng.uniform(0.6, 1.2)).tolist()
        draw.polygon([x - half, height, x + lean, top, x + half, height], fill=tuple(green))


def _paint(canvas: Image.Image, mesh: Mesh, pose: _Pose, sun: Floats) -> None:
    """Turn the mesh into its pose, light it and draw it from back to front."""
    x, y, z = np.moveaxis(mesh[:, :12].reshape(-1, 4, 3), -1, 0)
    cos, sin = np.cos([pose.tilt, pose.roll]), np.sin([pose.tilt, pose.roll])
    y, z = y * cos[0] + z * sin[0], z * cos[0] - y * sin[0]
    x, y = x * cos[1] - y * sin[1], x * sin[1] + y * cos[1]
    points = np.stack([x, y, z], axis=-1)
    normal = np.cross(points[:, 2] - points[:, 0], points[:, 3] - points[:, 1])
    facing = normal @ sun / np.maximum(np.linalg.norm(normal, axis=1), 1e-9)
    facing = np.where(normal[:, 2] < 0, -facing, facing)
    light = _SHADE + _SUNLIGHT * np.maximum(facing, -_TRANSLUCENCE * facing)
    inks = _bytes(np.column_stack([mesh[:, 12:15] * light[:, None], mesh[:, 15]]))
    near = pose.radius * min(canvas.size) / (1 - _PERSPECTIVE * np.clip(z, -2, 2))
    place = np.stack([pose.x * canvas.width + x * near, pose.y * canvas.height - y * near], axis=-1)
    order, draw = np.argsort(z.mean(axis=1)), ImageDraw.Draw(canvas, "RGBA")
    flat = place.reshape(-1, 8)[order].tolist()
    for polygon, ink in zip(flat, inks[order].tolist(), strict=True):
        draw.polygon(polygon, fill=tuple(ink))


def _plant(canvas: Image.Image, rng: Rng, name: str, paint: Floats, at: _Pose, sun: Floats) -> None:
    """Stem, leaves and flower."""
    green, thick = _colour(rng, _GREENS), at.radius * rng.uniform(0.05, 0.1) * canvas.width
    # The stem leaves along the flower's axis and bends to the lower border.
    heading = np.array([np.sin(at.roll), np.cos(at.roll)]) * np.sin(at.tilt)
    start = np.array([at.x, at.y]) + 0.05 * at.radius * heading
    end = np.array([at.x + rng.normal(0, 0.6) * at.radius, 1.1])
    knee, t = start + heading * (end[1] - start[1]) / 2, np.linspace(0, 1, 10)[:, None]
    path = (1 - t) ** 2 * start + 2 * t * (1 - t) * knee + t**2 * end
    draw, line = ImageDraw.Draw(canvas), (path * canvas.size).ravel().tolist()
    for share, tone in ((1.0, 0.6), (0.7, 0.85), (0.3, 1.05)):  # from its edges to its middle
        ink, width = tuple(_bytes(green * tone).tolist()), max(1, int(thick * share))
        draw.line(line, fill=ink, width=width, joint="curve")
    shape = _KINDS[name if rng.random() < 0.75 else str(rng.choice(CLASS_NAMES))][2]
    leaf = _Petal(shape[:2], (shape[2], -0.7), (0.5, 0.6))
    for x, y in path[rng.integers(3, 10, rng.integers(0, 5))]:
        place = _Pose(x, y, at.radius * rng.uniform(0.7, 1.2), rng.uniform(0.6, 1.6))
        _paint(canvas, _ring(rng, leaf, 1, rng.uniform(0, 2 * np.pi), green, 0.85), place, sun)
    _paint(canvas, _KINDS[name][0](rng, paint), at, sun)


def _pose(rng: Rng, class_name: str, reach: tuple[float, float]) -> _Pose:
    """A place around the middle (small flowers farther off) and a radius within `reach`."""
    radius = rng.uniform(*reach)
    x, y = np.clip(rng.normal(0.5, 0.45 * (0.62 - radius), 2), 0.1, 0.9)
    tilt = rng.triangular(0.0, _KINDS[class_name][1], 1.65)
    return _Pose(x, y, radius, tilt, rng.normal(0, 0.3))


def _scene(class_name: str, rng: Rng, size: tuple[int, int]) -> Image.Image:
    """Flowers before their background, on a canvas of `_SUPERSAMPLE` times `size`."""
    sun = rng.uniform((-0.8, 0.1, 0.3), (0.8, 0.9, 1.0))
    sun /= np.linalg.norm(sun)
    image, paint = _backdrop(rng, size), _colour(rng, _KINDS[class_name][3])
    poses = [_pose(rng, class_name, (0.3, 0.55))]
    if rng.random() < 0.35:
        poses = [_pose(rng, class_name, (0.18, 0.34)) for _ in range(rng.integers(2, 5))]
        for _ in range(rng.integers(1, 4)):
            _plant(image, rng, class_name, paint, _pose(rng, class_name, (0.05, 0.14)), sun)
    if rng.random() < 0.4:  # shadows on the ground, softened along with it
        draw, dark = ImageDraw.Draw(image, "RGBA"), (0, 0, 0, int(rng.integers(30, 110)))
        for x, y, radius, *_ in poses:
            box = np.array([-1, -0.7, 1, 0.7]) + 0.4 * np.array([-sun[0], sun[1]] * 2)
            draw.ellipse(((radius * box + (x, y, x, y)) * (size * 2)).tolist(), fill=dark)
    image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0, 0.027) * size[0]))
    canvas = image.resize((size[0] * _SUPERSAMPLE, size[1] * _SUPERSAMPLE))
    for pose in sorted(poses, key=lambda pose: pose.radius):
        _plant(canvas, rng, class_name, paint, pose, sun)
    _grass(canvas, rng, int(rng.integers(-8, 6)))
    return canvas


def _photograph(rng: Rng, canvas: Image.Image, size: tuple[int, int]) -> Image.Image:
    """What the camera adds: focus, motion, exposure, white balance, vignette and noise."""
    image = canvas.resize(size, Image.Resampling.BOX)
    image = image.filter(ImageFilter.GaussianBlur(min(rng.exponential(0.002), 0.01) * size[0]))
    pixels = np.asarray(image, dtype=np.float32) / 255
    if rng.random() < 0.15:
        pixels = (pixels + np.roll(pixels, rng.integers(1, 4, 2), (0, 1))) / 2
    warm, tint, exposure = rng.normal((0, 0, 0.05), (0.08, 0.02, 0.15))
    balance = np.array([1 + warm, 1 + tint, 1 - warm]) * np.exp(exposure)
    x, y = np.linspace(-1, 1, size[0])[:, None], np.linspace(-1, 1, size[1])[:, None, None]
    light = 1 - rng.uniform(0, 0.15) * (x**2 + y**2)
    if rng.random() < 0.4:  # the shade of leaves outside the picture
        light = light * (1 - rng.uniform(0.2, 0.6) * _noise(rng, size, 4, 4))
    grain = rng.standard_normal(pixels.shape, dtype=np.float32) * rng.uniform(0.005, 0.04)
    return Image.fromarray(_bytes(pixels * (light * balance).astype(np.float32) + grain))


def render_flower(class_name: str, rng: Rng, size_px: int = 256) -> Image.Image:
    """Draw one picture.

    Args:
        class_name: one of `CLASS_NAMES`.
        rng: source of all random choices; the same state gives the same pixels.
        size_px: length of the longer side in pixels, at least `MIN_SIZE_PX`.

    Returns:
        A picture of mode RGB: square half of the time, else with one side down to 7/8 as long.

    Raises:
        UsageError: if the class is unknown or the size too small.
    """
    if class_name not in _KINDS or size_px < MIN_SIZE_PX:
        raise UsageError(f"cannot render a {class_name!r} of {size_px} px")
    short = size_px if rng.random() < 0.5 else round(size_px * rng.uniform(_MIN_ASPECT, 1))
    size = (size_px, short) if rng.random() < 0.5 else (short, size_px)
    return _photograph(rng, _scene(class_name, rng, size), size)


def render_data_set(
    folder: Path, *, photos_per_class: int = 200, seed: int = 0, size_px: int = 256
) -> int:
    """Write `folder/<class>/<class>_0000.jpg` and so on, and last `folder/RENDERED.txt`.

    A picture depends on seed, class, index and size alone, not on how many there are. Those
    already there are kept, so that a call after an interruption writes the rest.

    Returns:
        How many pictures this call has written; 0 if all were there.

    Raises:
        UsageError: if a number is too small, or the folder has another seed or size.
        OSError: if the folder cannot be written.
    """
    if photos_per_class < 1 or seed < 0 or size_px < MIN_SIZE_PX:
        raise UsageError(f"cannot render {photos_per_class} of {size_px} px with seed {seed}")
    note, made_with = folder / NOTE_NAME, f"seed {seed}, {size_px} px"
    if note.exists() and made_with not in note.read_text(encoding="utf-8"):
        raise UsageError(f"{folder} was not rendered with {made_with}: name another folder")
    keys = [(k, index) for k in range(len(CLASS_NAMES)) for index in range(photos_per_class)]
    paths = {(k, i): folder / CLASS_NAMES[k] / f"{CLASS_NAMES[k]}_{i:04d}.jpg" for k, i in keys}
    missing = [key for key in keys if not paths[key].exists()]
    for key in track(missing, "Rendering", console=Console(stderr=True)):
        rng, path = np.random.default_rng([seed, *key]), paths[key]
        picture = render_flower(CLASS_NAMES[key[0]], rng, size_px)
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as part:
            picture.save(part, "JPEG", quality=int(rng.integers(*_JPEG_QUALITY, endpoint=True)))
    count = sum(1 for name in CLASS_NAMES for _ in folder.glob(f"{name}/{name}_*.jpg"))
    write_text(note, f"Rendered pictures, not photos.\n{made_with}, {count} pictures\n")
    return len(missing)
