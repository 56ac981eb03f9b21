"""The preprocessing contract: from a picture to the model's input bytes.

It exists once. Training, calibration, verification and the device all call `prepare` with rules
from a `Preprocessing` record. The hash of that record is in the manifest, so a device refuses a
model that was trained with other rules. Scaling to [-1, 1] is the first layer inside the model;
this module returns raw RGB bytes.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from PIL import Image

from device.contract.arrays import Box, Pixels
from device.errors import BundleError

MAX_KEPT_PIXELS = 1280 * 1280
"""Largest box that `FrameResizer` keeps, 6.6 MB: with larger ones the gain is negligible."""


@dataclass(frozen=True)
class Preprocessing:
    """The rules from a picture to the model's input, as stored in `preprocess.json`."""

    height_px: int = 224
    width_px: int = 224
    crop: str = "centre"
    """The largest centred box with the input's aspect ratio; nothing is stretched."""
    resize: str = "pillow-bilinear-antialiased"
    """`Image.resize(BILINEAR)`: a triangle filter as wide as the scale, also between pixels."""
    jpeg_decode_scale: int = 2
    """A JPEG is decoded at the smallest DCT scale that keeps this many pixels per input pixel:
    1/1, 1/2, 1/4 or 1/8, as libjpeg makes them, independent of its size."""
    orientation: str = "exif"
    colour: str = "sRGB-by-profile"
    """RGB bytes. What has a profile embedded that is not sRGB is converted to sRGB, relative
    colorimetric, at the size at which it was decoded; all else is taken as it is."""
    alpha: str = "over-white"
    dtype: str = "uint8"

    def __post_init__(self) -> None:
        """Refuse rules that this version cannot follow.

        Raises:
            BundleError: if a field has a value that this version does not know.
        """
        for field in fields(self):
            value = getattr(self, field.name)
            if field.type is int or field.type == "int":
                if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 4096:
                    raise BundleError(f"preprocessing: {field.name}={value!r} is not in 1..4096")
            elif value != field.default:
                raise BundleError(
                    f"preprocessing: {field.name}={value!r} is not known to this version "
                    f"(it knows {field.default!r}): train again, or update the device package"
                )

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "Preprocessing":
        """Read the rules back from their JSON object.

        Raises:
            BundleError: on a missing, unknown or unsupported field.
        """
        names = {field.name for field in fields(cls)}
        if not isinstance(record, Mapping) or set(record) != names:
            given = record if isinstance(record, Mapping) else ()
            odd = map(repr, sorted(names.symmetric_difference(given)))
            raise BundleError(f"preprocessing record: fields missing or unknown: {', '.join(odd)}")
        return cls(**record)

    def record(self) -> dict[str, Any]:
        """The rules as a JSON object, in a fixed order."""
        return asdict(self)

    def sha256(self) -> str:
        """Hex digest of the canonical JSON of the rules; equal digests mean equal numbers."""
        canonical = json.dumps(self.record(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width, channels of one prepared picture."""
        return (self.height_px, self.width_px, 3)


def crop_box(width: int, height: int, rules: Preprocessing) -> Box:
    """The centred box of a `width` x `height` picture with the input's aspect ratio.

    In whole pixels, so that a cropped camera frame and a cropped photo give the same numbers.

    Returns:
        (left, upper, right, lower) in pixels, inside the picture, at least 1x1.
    """
    scale = min(width / rules.width_px, height / rules.height_px)
    box_w = min(width, max(1, round(rules.width_px * scale)))
    box_h = min(height, max(1, round(rules.height_px * scale)))
    left, upper = (width - box_w) // 2, (height - box_h) // 2
    return (left, upper, left + box_w, upper + box_h)


def prepare(image: Image.Image, rules: Preprocessing) -> Pixels:
    """Crop and resize an upright RGB picture.

    Args:
        image: mode RGB, any size of at least 1x1.
        rules: the preprocessing record.

    Returns:
        uint8 array (height_px, width_px, 3), R, G, B in 0..255.
    """
    return _resize(image.crop(crop_box(image.width, image.height, rules)), rules)


def prepare_frame(frame: Pixels, rules: Preprocessing) -> Pixels:
    """Crop and resize a camera frame, a uint8 array (h, w, 3) in R, G, B order.

    Gives the same numbers as `prepare`, without unpacking the part that is cropped away.
    """
    return prepare_box(frame, crop_box(frame.shape[1], frame.shape[0], rules), rules)


def prepare_box(frame: Pixels, box: Box, rules: Preprocessing) -> Pixels:
    """Resize one box of a camera frame, a uint8 array (h, w, 3) in R, G, B order."""
    return FrameResizer().prepare_box(frame, box, rules)


class FrameResizer:
    """`prepare_box` for a sequence of frames; not safe for two threads at once.

    It reuses Pillow's image for the next box of the same size: allocating that memory takes
    0.05 ms per frame.
    """

    def __init__(self) -> None:
        """Start without an image to reuse."""
        self._kept = Image.new("RGB", (1, 1))

    def prepare_box(self, frame: Pixels, box: Box, rules: Preprocessing) -> Pixels:
        """Does the same as the function of this name."""
        left, upper, right, lower = box
        if not frame.flags.c_contiguous:
            return _resize(Image.fromarray(frame[upper:lower, left:right]), rules)
        # The box is read in place; `fromarray` would first copy it to make it contiguous.
        stride = frame.strides[0]
        data = frame.data.cast("B")[upper * stride + left * 3 :]
        image = self._image(right - left, lower - upper)
        image.frombytes(data, "raw", "RGB", stride, 1)
        return _resize(image, rules)

    def _image(self, width: int, height: int) -> Image.Image:
        if self._kept.size == (width, height):
            return self._kept
        image = Image.new("RGB", (width, height))
        if width * height <= MAX_KEPT_PIXELS:
            self._kept = image
        return image


def _resize(cropped: Image.Image, rules: Preprocessing) -> Pixels:
    # Cropped beforehand: given a box, Pillow's filter would also read outside of it.
    size = (rules.width_px, rules.height_px)
    return np.asarray(cropped.resize(size, Image.Resampling.BILINEAR))
