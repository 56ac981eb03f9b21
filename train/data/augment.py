"""Augmented views: random crops, flips and colour changes of a photo."""

import hashlib

import numpy as np
import numpy.typing as npt
from PIL import Image

from device.contract.arrays import Box, Pixels
from device.contract.photos import decode, decode_frame
from device.contract.preprocess import Preprocessing, prepare, prepare_box

MIN_AREA = 0.6
"""A view shows at least this share of the centred square's area."""
STRETCH = 0.2
"""Width to height varies by up to this power of e."""
COLOUR_JITTER = 0.2
"""Brightness, contrast and saturation vary by up to this share of their value."""
SIDE_JITTER = 0.25
"""The side of a cut varies by up to this power of e ..."""
SHIFT = 0.12
"""... and its middle moves by up to this share of its side: no device finds a subject exactly."""
LUMA = np.array([0.299, 0.587, 0.114])
"""Weights of red, green and blue in grey (ITU-R BT.601), as in Pillow."""


def decoded(data: bytes, rules: Preprocessing, box: Box | None) -> Image.Image:
    """A photo as `view` needs it: a photo that is cut as a camera's frame.

    Raises:
        PhotoError: if it cannot be decoded.
    """
    return decode(data, rules) if box is None else Image.fromarray(decode_frame(data))


def view(
    image: Image.Image, rules: Preprocessing, number: int, seed: int, box: Box | None = None
) -> Pixels:
    """View `number` of a photo; view 0 is the photo as the device prepares it.

    Args:
        image: upright, RGB.
        rules: the preprocessing record.
        number: of the view.
        seed: of all random numbers.
        box: where the photo is cut; None if it is not.

    Returns:
        uint8 (height_px, width_px, 3), resized by the device's own rule.
    """
    if number == 0:
        return prepare(image, rules) if box is None else prepare_box(np.asarray(image), box, rules)
    rng = np.random.default_rng([seed, number])
    shown = _some_crop(rng, image.size) if box is None else moved(rng, image.size, box)
    pixels = prepare_box(np.asarray(image), shown, rules)
    if rng.random() < 0.5:
        pixels = pixels[:, ::-1]
    return recoloured(pixels, *(1 + rng.uniform(-COLOUR_JITTER, COLOUR_JITTER, 3)))


def _some_crop(rng: np.random.Generator, size: tuple[int, int]) -> Box:
    """A random box of a picture of some width and height."""
    width, height = _sides(rng, min(size) * np.sqrt(rng.uniform(MIN_AREA, 1)), size)
    left = int(rng.integers(0, size[0] - width + 1))
    upper = int(rng.integers(0, size[1] - height + 1))
    return left, upper, left + width, upper + height


def moved(rng: np.random.Generator, size: tuple[int, int], box: Box) -> Box:
    """A box as another look might have found it, inside a picture of some width and height."""
    side = max(box[2] - box[0], box[3] - box[1]) * np.exp(rng.uniform(-SIDE_JITTER, SIDE_JITTER))
    lengths = _sides(rng, side, size)
    low = []
    for axis, length in enumerate(lengths):
        middle = (box[axis] + box[axis + 2]) / 2 + side * rng.uniform(-SHIFT, SHIFT)
        low.append(int(np.clip(middle - length / 2, 0, size[axis] - length)))
    return low[0], low[1], low[0] + lengths[0], low[1] + lengths[1]


def _sides(rng: np.random.Generator, side: float, size: tuple[int, int]) -> tuple[int, int]:
    """Width and height of a stretched square that fits into a picture."""
    stretch = np.exp(rng.uniform(-STRETCH, STRETCH) / 2)
    return int(np.clip(side * stretch, 1, size[0])), int(np.clip(side / stretch, 1, size[1]))


def views_digest(rules: Preprocessing) -> str:
    """A digest of the views of a fixed noise picture.

    It changes with things that neither source nor version shows, such as another build of Pillow.
    """
    noise = np.random.default_rng(0).integers(0, 256, (97, 131, 3), np.uint8)
    views = [view(Image.fromarray(noise), rules, number, 0) for number in range(3)]
    return hashlib.sha256(np.stack(views).tobytes()).hexdigest()


def recoloured(pixels: Pixels, brightness: float, contrast: float, saturation: float) -> Pixels:
    """Change all three at once: each is linear in the colours, contrast around the mean grey."""
    to_colour: npt.NDArray[np.float64] = saturation * np.eye(3) + (1 - saturation) * LUMA
    pixels = np.ascontiguousarray(pixels)
    grey = float(_mean(pixels) @ LUMA)
    offset = brightness * (1 - contrast) * grey
    matrix = np.column_stack([brightness * contrast * to_colour, np.full(3, offset)])
    picture = Image.fromarray(pixels)
    return np.asarray(picture.convert("RGB", tuple(matrix.ravel().tolist())))


def _mean(pixels: Pixels) -> npt.NDArray[np.float64]:
    """The mean of each channel, to the bit that of `pixels.mean`, which takes 20 times as long."""
    height, width = pixels.shape[:2]
    columns = pixels.reshape(height, -1).sum(axis=0, dtype=np.uint32)
    return np.asarray(columns.reshape(width, 3).sum(axis=0) / (height * width))
