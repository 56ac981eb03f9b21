"""Photos and camera pictures, decoded: bytes in, an upright RGB picture out."""

import io
import itertools
import threading
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from device.contract.arrays import Box, Pixels
from device.contract.formats import foreign, opened
from device.contract.preprocess import Preprocessing, prepare, prepare_box
from device.errors import PhotoError, one_line
from device.quiet import quiet_pillow

if TYPE_CHECKING:
    from PIL.ImageCms import ImageCmsTransform

MAX_PHOTO_BYTES = 256 * 1024 * 1024
MAX_PHOTO_PIXELS = Image.MAX_IMAGE_PIXELS or 89_478_485
"""Size limit as decoded: Pillow's own guard against decompression bombs, which always holds."""
MAX_FRAME_PIXELS = 4096 * 2160
"""Limit of a camera frame as the service keeps it, 27 MB: ten of them fit into its memory."""
MAX_LAZY_PIXELS = 1920 * 1080
"""Pillow keeps a pixel in four bytes: larger pictures become arrays, of three, at once."""
MAX_REDUCTION = 4
"""A JPEG may have this many times more pixels if its decoder shrinks it far enough."""
_STRIP_PX = 64
_SIXTEEN_BIT_MODES = ("I;16", "I;16L", "I;16B", "I;16N", "I")
_MODE_OF_PROFILE = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}
_SAME_STEPS = 3
"""A profile that changes no colour by more than this is sRGB: there are many slightly different
ones, and converting rounds."""


def decode(data: bytes, rules: Preprocessing, *, max_pixels: int | None = None) -> Image.Image:
    """Decode the bytes of a photo file to an upright RGB picture.

    A JPEG may be decoded at a smaller size (`jpeg_decode_scale`). Animations give their first
    frame, 16-bit grey keeps its upper 8 bits, and transparency is put over white. Colours are those
    of the embedded profile, in sRGB; a profile that cannot be read counts as none.

    Args:
        data: the file.
        rules: the preprocessing record.
        max_pixels: limit after decoding; `MAX_PHOTO_PIXELS` if not given.

    Raises:
        PhotoError: if the bytes are not a whole picture in a known format, or it is too large.
    """
    least = rules.jpeg_decode_scale * max(rules.height_px, rules.width_px)
    return _decoded(data, lambda _: (least, least), max_pixels or MAX_PHOTO_PIXELS)


class Decoded:
    """A camera's picture that becomes an array only when somebody asks for one.

    To see that nothing is there takes some of its pixels, and an array would cost a third more than
    decoding it. Usable from several threads.
    """

    def __init__(self, image: Image.Image) -> None:
        """Take an RGB picture; nobody else may use it from here on."""
        self._lock = threading.Lock()
        self._image: Image.Image | None = image
        self._pixels: Pixels | None = None
        self.shape = (image.height, image.width, 3)
        """Of the array."""
        if image.width * image.height > MAX_LAZY_PIXELS:
            self.pixels()

    def pixels(self) -> Pixels:
        """The array: uint8, R, G, B."""
        with self._lock:
            if self._pixels is None:
                assert self._image is not None
                self._pixels, self._image = pixels(self._image), None
            return self._pixels

    def samples(
        self, first_px: tuple[int, int], step_px: tuple[int, int], count: tuple[int, int]
    ) -> Pixels:
        """Some pixels in rows and columns, the same that the array has.

        Args:
            first_px: the first of them, across and down, from the upper left corner.
            step_px: from each to the next, across and down.
            count: how many, across and down; all lie within the picture.

        Returns:
            uint8 (count down, count across, 3).
        """
        with self._lock:
            image = self._image
            if image is not None:
                return np.asarray(_every(image, first_px, step_px, count))
        (x, y), (wide, high), (columns, rows) = first_px, step_px, count
        return self.pixels()[y::high, x::wide][:rows, :columns]


def _every(
    image: Image.Image, first: tuple[int, int], step: tuple[int, int], count: tuple[int, int]
) -> Image.Image:
    """Single pixels: those that Pillow finds in the middle of squares as large as the step."""
    across, down = (place + 0.5 - wide / 2 for place, wide in zip(first, step, strict=True))
    places = (step[0], 0, across, 0, step[1], down)
    return image.transform(count, Image.Transform.AFFINE, places, Image.Resampling.NEAREST)


def decode_frame(data: bytes) -> Pixels:
    """Decode a camera's picture at full size: only a small region of it may be classified.

    Above `MAX_FRAME_PIXELS` it is decoded at 1/2, 1/4 or 1/8, the scales that JPEG offers.

    Raises:
        PhotoError: as `decode`.
    """
    return pixels(_decoded(data, _size_of_frame, MAX_FRAME_PIXELS))


def decode_lazily(data: bytes) -> Decoded:
    """The same picture, which is no array yet.

    Raises:
        PhotoError: as `decode`.
    """
    return Decoded(_decoded(data, _size_of_frame, MAX_FRAME_PIXELS))


def pixels(image: Image.Image) -> Pixels:
    """An RGB picture as an array. `numpy.asarray` would need twice the memory meanwhile."""
    out = np.empty((image.height, image.width, 3), np.uint8)
    for top in range(0, image.height, _STRIP_PX):
        bottom = min(image.height, top + _STRIP_PX)
        out[top:bottom] = np.asarray(image.crop((0, top, image.width, bottom)))
    return out


def _decoded(
    data: bytes, least: Callable[[Image.Image], tuple[int, int]], max_pixels: int
) -> Image.Image:
    """An upright RGB picture; a JPEG is not decoded below the size that `least` returns for it."""
    if not data:
        raise PhotoError("the file is empty")
    try:
        # Damaged metadata is harmless. About sizes above its limit Pillow only warns up to twice
        # the limit; we refuse at the limit itself.
        with quiet_pillow():
            image = opened(data)
            _make_small(image, least(image), max_pixels)
            image.load()
            if image.getexif().get(ExifTags.Base.Orientation, 1) != 1:
                # Only then, because exif_transpose always copies the picture.
                image = ImageOps.exif_transpose(image)
            return _in_srgb(image, _to_rgb(image))
    except PhotoError:
        raise
    except Image.DecompressionBombError as error:
        raise PhotoError(f"more than {MAX_PHOTO_PIXELS:,} pixels: save it smaller") from error
    except (UnidentifiedImageError, SyntaxError) as error:
        raise PhotoError(foreign(data)) from error
    except MemoryError as error:
        raise PhotoError("not enough memory to decode it") from error
    except Exception as error:
        # On hostile bytes decoders raise anything (OSError, ValueError, struct.error, IndexError,
        # EOFError ...): all of these mean that the picture is damaged.
        raise PhotoError(f"damaged picture: {one_line(error)}") from error


def _make_small(image: Image.Image, least: tuple[int, int], max_pixels: int) -> None:
    """Decode a JPEG at a smaller scale; refuse pictures that are too large before using memory."""
    width, height = image.size
    image.draft(None, least)
    whole, decoded = width * height, image.width * image.height
    if decoded > max_pixels or whole > MAX_REDUCTION * max_pixels:
        most = max_pixels if decoded > max_pixels else MAX_REDUCTION * max_pixels
        advice = "save it smaller" if image.format == "JPEG" else "save it smaller, or as JPEG"
        raise PhotoError(f"{width}x{height} pixels are more than {most:,}: {advice}")


def _size_of_frame(image: Image.Image) -> tuple[int, int]:
    scale = 1
    while scale < 8 and image.width * image.height > MAX_FRAME_PIXELS * scale**2:
        scale *= 2
    return (image.width // scale, image.height // scale)


def load_photo(path: Path, rules: Preprocessing) -> Pixels:
    """Read, decode and prepare one photo file.

    Returns:
        uint8 array (height_px, width_px, 3), R, G, B in 0..255.

    Raises:
        PhotoError: if the file cannot be read or used.
    """
    return prepare(decode(read_photo(path), rules), rules)


def load_box(data: bytes, box: Box, rules: Preprocessing) -> Pixels:
    """Prepare one box of a photo, as a device does with a camera's frame.

    Args:
        data: the file.
        box: left, upper, right, lower in pixels of `decode_frame`'s picture.
        rules: the preprocessing record.

    Returns:
        uint8 array (height_px, width_px, 3).

    Raises:
        PhotoError: as `decode_frame`, and if the picture does not contain the box.
    """
    frame = decode_frame(data)
    left, upper, right, lower = box
    high, wide = frame.shape[:2]
    if not (0 <= left < right <= wide and 0 <= upper < lower <= high):
        raise PhotoError(f"its {wide}x{high} pixels do not contain the box {box}")
    return prepare_box(frame, box, rules)


def read_photo(path: Path) -> bytes:
    """The bytes of a photo file.

    Raises:
        PhotoError: if it cannot be read or is larger than `MAX_PHOTO_BYTES`.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_PHOTO_BYTES + 1)
    except OSError as error:
        raise PhotoError(error.strerror or str(error)) from error
    if len(data) > MAX_PHOTO_BYTES:
        raise PhotoError(f"larger than {MAX_PHOTO_BYTES // 2**20} MiB")
    return data


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode in _SIXTEEN_BIT_MODES:
        # Pillow's own conversion clips at 255 instead of scaling.
        grey = np.clip(np.asarray(image).astype(np.int64), 0, 65535) >> 8
        image = Image.fromarray(grey.astype(np.uint8))
    if image.mode == "F":
        raise PhotoError("floating-point pixels have no defined range")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, layer)
    return image if image.mode == "RGB" else image.convert("RGB")


def _in_srgb(image: Image.Image, plain: Image.Image) -> Image.Image:
    """A picture as its embedded profile says.

    Args:
        image: as decoded.
        plain: the same as RGB, without regard to a profile.
    """
    profile = image.info.get("icc_profile")
    mode, transform = _transform(profile) if profile else ("", None)
    if transform is None:
        return plain
    if (mode == "CMYK") != (image.mode == "CMYK"):
        return plain
    if mode == "L" and image.mode not in ("1", "L", "LA", "La", *_SIXTEEN_BIT_MODES):
        return plain
    source = {"RGB": plain, "CMYK": image, "L": plain.getchannel(0)}[mode]
    return transform.apply(source)


@lru_cache(maxsize=8)
def _transform(profile: bytes) -> tuple[str, "ImageCmsTransform | None"]:
    """From a profile's colours to sRGB: the mode of pictures to convert, and what does it.

    None if the profile is broken, of colours that no photo has, or sRGB.
    """
    # Here, so that pictures without a profile do not pay for it.
    from PIL import ImageCms

    try:
        embedded = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        mode = _MODE_OF_PROFILE[embedded.profile.xcolor_space.strip()]
        found = ImageCms.buildTransform(
            embedded,
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
        )
    except (ImageCms.PyCMSError, KeyError, OSError, ValueError, TypeError):
        return "", None
    return mode, found if mode != "RGB" or _changes(found) else None


def _changes(transform: "ImageCmsTransform") -> bool:
    """Whether a transform from RGB gives other colours, tried on 216 of them."""
    colours = np.array([*itertools.product(range(0, 256, 51), repeat=3)], np.uint8)[np.newaxis]
    converted = np.asarray(transform.apply(Image.fromarray(colours)))
    return bool(np.abs(converted.astype(int) - colours).max() > _SAME_STEPS)
