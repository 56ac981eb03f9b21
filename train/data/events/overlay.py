"""Laying one small picture over another, as well as an affine map can.

Inverse compositional Gauss-Newton on the coordinates of the template (Baker and Matthews 2004,
"Lucas-Kanade 20 Years On: A Unifying Framework", section 3.2), for many pairs at once.
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

TEMPLATE = 0.7
"""Share of each side that is laid over the other picture, to leave out frames and cropped edges."""
INSIDE = 0.97
"""At least this share of the template must lie on the other picture."""


def halved(pictures: npt.NDArray[np.uint8]) -> Floats:
    """Pictures (n, px, px, channels) at half their size; px is even."""
    rows = pictures[:, ::2].astype(np.uint16) + pictures[:, 1::2]
    quarter: Floats = (rows[:, :, ::2] + rows[:, :, 1::2]).astype(np.float32)
    return quarter * np.float32(0.25)


def fitted(
    first: Floats, second: Floats, maps: Floats, points: int, steps: int
) -> tuple[Floats, Floats, Floats]:
    """Lay the middle of each first picture on its second one.

    Args:
        first: (n, px, px, 3).
        second: the same.
        maps: (n, 2, 3), from coordinates in the first to those in the second, both -1 to 1.
        points: grid points along a side of the template.
        steps: Gauss-Newton steps; differences of brightness and contrast are ignored.

    Returns:
        The best maps, their correlations (n,), and the correlations of the fine structure (n,).
    """
    place = (((np.arange(points) + 0.5) / points * 2 - 1) * TEMPLATE).astype(np.float32)
    x, y = (axis.ravel() for axis in np.meshgrid(place, place))
    template, slopes = _template(first, place)
    turned_slopes = slopes.transpose(0, 2, 1)
    inverse = np.linalg.inv(turned_slopes @ slopes + _damping(slopes))
    best, likeness = maps.copy(), np.full(len(maps), -1, np.float32)
    laid = np.zeros_like(template)
    for step in range(steps + 1):
        seen, inside = _seen(second, maps, x, y)
        now = np.where(inside, (seen * template).sum(1), np.float32(-1))
        better = now > likeness
        best[better], likeness[better], laid[better] = maps[better], now[better], seen[better]
        if step < steps:
            error = seen / (seen * template).sum(1, keepdims=True).clip(0.2) - template
            change = inverse @ (turned_slopes @ error[:, :, None])
            maps = _composed(maps, change[:, :, 0].clip(-0.3, 0.3))
    return best, likeness, _structure(template, laid, points)


def _template(pictures: Floats, place: Floats) -> tuple[Floats, Floats]:
    """The template (n, numbers), of length 1, and how it changes with the map (n, numbers, 6)."""
    px = pictures.shape[1]
    step = np.float32(2 / px)
    at = _weights(place, px)
    slope = (_weights(place + step, px) - _weights(place - step, px)) / (2 * step)
    values, length = _unit(laid_out(pictures, at, at))
    x, y = (axis.ravel() for axis in np.meshgrid(place, place))
    places = np.stack([x, y, np.ones_like(x)], -1)[None, :, None, :]
    slopes = np.concatenate(
        [
            laid_out(pictures, down, across)[..., None] * places
            for down, across in ((at, slope), (slope, at))
        ],
        axis=-1,
    )
    slopes = _centred(slopes.reshape(*slopes.shape[:2], -1)).reshape(len(slopes), -1, 6)
    slopes /= length[:, :, None]
    slopes -= values[:, :, None] * (values[:, None] @ slopes)
    return values, slopes


def _weights(places: Floats, px: int) -> Floats:
    """(places, px): the weight of each pixel in the bilinear value at a coordinate from -1 to 1."""
    pixel = ((places + 1) * (px / 2) - 0.5).clip(0, px - 1)[:, None]
    weights: Floats = (1 - abs(pixel - np.arange(px))).clip(0).astype(np.float32)
    return weights


def laid_out(pictures: Floats, down: Floats, across: Floats) -> Floats:
    """Values (n, points, channels) on a grid, from the weights of its rows and its columns."""
    n, px, _, channels = pictures.shape
    rows = (down @ pictures.reshape(n, px, -1)).reshape(-1, px, channels)
    values: Floats = (across @ rows).reshape(n, -1, channels)
    return values


def _damping(slopes: Floats) -> Floats:
    """A small part of the mean square slope, so that flat pictures can be inverted as well."""
    mean = (slopes**2).sum((1, 2)) / 6 * 1e-3 + 1e-6
    damping: Floats = mean[:, None, None] * np.eye(6, dtype=np.float32)
    return damping


def _seen(
    pictures: Floats, maps: Floats, x: Floats, y: Floats
) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """The values under the template, of length 1, and whether enough of it lies on the picture."""
    there_x, there_y = (maps[:, i, :1] * x + maps[:, i, 1:2] * y + maps[:, i, 2:] for i in (0, 1))
    inside = (np.maximum(abs(there_x), abs(there_y)) <= 1).mean(1) > INSIDE
    return _unit(_sampled(pictures, there_x, there_y))[0], inside


def _unit(values: Floats) -> tuple[Floats, Floats]:
    """Flattened, without the channels' means, scaled to length 1; and the length before, (n, 1)."""
    flat = _centred(values).reshape(len(values), -1)
    length = np.linalg.norm(flat, axis=1, keepdims=True).clip(1e-3)
    return flat / length, length


def _centred(values: Floats) -> Floats:
    """Values (n, points, m) without their means over the points."""
    # A product with ones: NumPy's mean over an inner axis takes five times as long.
    mean = np.full((1, values.shape[1]), 1 / values.shape[1], np.float32) @ values
    centred: Floats = values - mean
    return centred


def _sampled(pictures: Floats, x: Floats, y: Floats) -> Floats:
    """Bilinear values (n, points, 3) at coordinates -1 to 1, (points,) or (n, points).

    Beyond an edge, its pixels are repeated.
    """
    n, px = pictures.shape[:2]
    across, down = (((axis + 1) * (px / 2) - 0.5).clip(0, px - 1.001) for axis in (x, y))
    left, top = across.astype(np.int32), down.astype(np.int32)
    right = (across - left)[..., None].astype(np.float32)
    low = (down - top)[..., None].astype(np.float32)
    start = np.arange(n, dtype=np.int32)[:, None] * (px * px) + top * px + left
    flat = pictures.reshape(-1, pictures.shape[-1])
    upper = flat[start] * (1 - right) + flat[start + 1] * right
    lower = flat[start + px] * (1 - right) + flat[start + px + 1] * right
    values: Floats = upper * (1 - low) + lower * low
    return values


def _composed(maps: Floats, change: Floats) -> Floats:
    """The maps composed with the inverse of a small change of the template's coordinates."""
    whole = np.zeros((2, len(maps), 3, 3), np.float32)
    whole[:, :, 2, 2] = 1
    whole[0, :, :2], whole[1, :, :2] = maps, change.reshape(-1, 2, 3) + np.eye(2, 3)
    composed: Floats = (whole[0] @ np.linalg.inv(whole[1]))[:, :2]
    return composed


def _structure(template: Floats, laid: Floats, points: int) -> Floats:
    """The correlation (n,) of both after removing what is smooth over a fifth of their sides."""
    away = abs(np.subtract.outer(np.arange(points), np.arange(points)))
    smooth = (away <= points // 10).astype(np.float32)
    smooth /= smooth.sum(1, keepdims=True)
    pictures = (values.reshape(-1, points, points, 3) for values in (template, laid))
    one, other = (
        (picture.reshape(len(picture), -1, 3) - laid_out(picture, smooth, smooth)).reshape(
            len(picture), -1
        )
        for picture in pictures
    )
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    likeness: Floats = (one * other).sum(1) / lengths.clip(1e-6)
    return likeness
