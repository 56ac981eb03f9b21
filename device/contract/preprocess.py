"""The preprocessing contract: from a picture to the model's input bytes.

It exists once. Training, calibration, verification and the device call `prepare`; the rules they
call it with are a `Preprocessing` record whose hash travels in the manifest, so that a device
refuses a model that was trained on other numbers. Scaling to [-1, 1] is the first layer inside
the model; what leaves this module is raw RGB bytes.
"""

import hashlib
import json
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from device.contract.formats import foreign, opened
from device.errors import BundleError, PhotoError

Pixels = npt.NDArray[np.uint8]
Box = tuple[int, int, int, int]
"""Left, upper, right, lower, in pixels; the last two are outside."""

MAX_PHOTO_BYTES = 256 * 1024 * 1024
MAX_PHOTO_PIXELS = Image.MAX_IMAGE_PIXELS or 89_478_485
"""Of a picture as it is decoded: Pillow's own guard against decompression bombs, never lifted."""
MAX_FRAME_PIXELS = 4096 * 2160
"""Of a camera's frame as the service keeps it, 27 MB: ten of them fit into its memory."""
MAX_REDUCTION = 4
"""A JPEG may have so many times more pixels, if its decoder makes it small enough on the way."""

_STRIP_PX = 64
_SIXTEEN_BIT_MODES = ("I;16", "I;16L", "I;16B", "I;16N", "I")


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
    1/1, 1/2, 1/4 or 1/8, as libjpeg makes them, whatever its size."""
    orientation: str = "exif"
    colour: str = "RGB"
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
                    f"(it knows {field.default!r}): update the device package"
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

    Whole pixels, so that a cropped camera frame and a cropped photo give the same numbers.

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

    The same numbers as `prepare`, without unpacking the part that the crop throws away.
    """
    return prepare_box(frame, crop_box(frame.shape[1], frame.shape[0], rules), rules)


def prepare_box(frame: Pixels, box: Box, rules: Preprocessing) -> Pixels:
    """Resize one box of a camera frame, a uint8 array (h, w, 3) in R, G, B order."""
    left, upper, right, lower = box
    if not frame.flags.c_contiguous:
        return _resize(Image.fromarray(frame[upper:lower, left:right]), rules)
    # The box is read where it lies; `fromarray` would first copy it to make it contiguous.
    stride = frame.strides[0]
    data = frame.data.cast("B")[upper * stride + left * 3 :]
    size = (right - left, lower - upper)
    return _resize(Image.frombytes("RGB", size, data, "raw", "RGB", stride, 1), rules)


def _resize(cropped: Image.Image, rules: Preprocessing) -> Pixels:
    # The picture is cropped before: given a box, Pillow's filter also reads outside of it.
    size = (rules.width_px, rules.height_px)
    return np.asarray(cropped.resize(size, Image.Resampling.BILINEAR))


def decode(data: bytes, rules: Preprocessing, *, max_pixels: int | None = None) -> Image.Image:
    """Decode the bytes of a photo file to an upright RGB picture.

    A JPEG may come out smaller than it is (`jpeg_decode_scale`); of an animation the first frame
    is taken; 16-bit grey keeps its upper 8 bits; transparency is laid over white.

    Args:
        data: the file.
        rules: the preprocessing record.
        max_pixels: of the picture as it comes out of the decoder; `MAX_PHOTO_PIXELS` if not given.

    Raises:
        PhotoError: if the bytes are no whole picture of a known format, or too large.
    """
    least = rules.jpeg_decode_scale * max(rules.height_px, rules.width_px)
    return _decoded(data, lambda _: (least, least), max_pixels or MAX_PHOTO_PIXELS)


def decode_frame(data: bytes) -> Pixels:
    """Decode a camera's picture as large as it is: a small region of it may be wanted.

    One above `MAX_FRAME_PIXELS` comes at 1/2, 1/4 or 1/8, as a JPEG's decoder makes them.

    Raises:
        PhotoError: as `decode`.
    """
    return pixels(_decoded(data, _size_of_frame, MAX_FRAME_PIXELS))


def pixels(image: Image.Image) -> Pixels:
    """An RGB picture as an array; as `numpy.asarray`, which takes twice the memory on the way."""
    out = np.empty((image.height, image.width, 3), np.uint8)
    for top in range(0, image.height, _STRIP_PX):
        bottom = min(image.height, top + _STRIP_PX)
        out[top:bottom] = np.asarray(image.crop((0, top, image.width, bottom)))
    return out


def _decoded(
    data: bytes, least: Callable[[Image.Image], tuple[int, int]], max_pixels: int
) -> Image.Image:
    """An upright RGB picture; a JPEG not below a size that its own size decides."""
    if not data:
        raise PhotoError("the file is empty")
    try:
        with warnings.catch_warnings():
            # Pillow warns of damaged metadata, which costs nothing, and of sizes from one times
            # its limit, raising from two; one is our limit.
            warnings.filterwarnings("ignore", module=r"PIL\.")
            image = opened(data)
            _make_small(image, least(image), max_pixels)
            image.load()
            if image.getexif().get(ExifTags.Base.Orientation, 1) != 1:
                # Only then: it copies the picture in any case.
                image = ImageOps.exif_transpose(image)
            return _to_rgb(image)
    except PhotoError:
        raise
    except Image.DecompressionBombError as error:
        raise PhotoError(f"more than {MAX_PHOTO_PIXELS:,} pixels: save it smaller") from error
    except (UnidentifiedImageError, SyntaxError) as error:
        raise PhotoError(foreign(data)) from error
    except MemoryError as error:
        raise PhotoError("not enough memory to decode it") from error
    except Exception as error:
        # Decoders meet hostile bytes here and raise whatever they like (OSError, ValueError,
        # struct.error, IndexError, EOFError ...): all of it means that the picture is damaged.
        reason = " ".join(str(error).split()) or type(error).__name__
        raise PhotoError(f"damaged picture: {reason}") from error


def _make_small(image: Image.Image, least: tuple[int, int], max_pixels: int) -> None:
    """Have a JPEG decoded at a smaller scale; refuse what is too large before memory is taken."""
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
