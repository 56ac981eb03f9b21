"""The pictures that `tests/emulated/test_arm.py` gives to workstation and boards alike."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from convert.artifacts.training import Training, one_class_after_another
from device.bench.frame_loop import write_camera_frames
from device.contract.bundle import Bundle
from device.workstation.training import Part

PHOTOS = 50
FRAMES = 3


def real_photos(training: Training) -> list[Path]:
    """Photos of the build's own data, each class in turn, those not trained on first."""
    parts = (training.photos[part] for part in (Part.TEST, Part.VAL, Part.TRAIN))
    chosen = [photo for part in parts for photo in one_class_after_another(part)][:PHOTOS]
    return [training.files.path(photo.path).resolve() for photo in chosen]


def camera_frames(bundle: Bundle, folder: Path) -> list[Path]:
    """640x480 JPEG frames as a camera sends them."""
    folder.mkdir()
    write_camera_frames(bundle, folder)
    return sorted(folder.iterdir())[:FRAMES]


def odd_pictures(photo: Path, folder: Path) -> list[Path]:
    """One photo in the sizes, colours and formats that take other ways through the decoders."""
    folder.mkdir()
    image = Image.open(photo).convert("RGB")
    for name, write in _ODD.items():
        write(image, folder / name)
    return sorted(folder.iterdir())


def _large(image: Image.Image, path: Path) -> None:
    image.resize((2592, 1944)).save(path, quality=92, progressive=True)


def _upright(image: Image.Image, path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    image.resize((611, 907)).save(path, exif=exif, subsampling="4:4:4")


def _clear(image: Image.Image, path: Path) -> None:
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    image.save(path)


def _deep(image: Image.Image, path: Path) -> None:
    grey = np.asarray(image.convert("L"), np.uint16) * 257
    Image.fromarray(grey).save(path)


_ODD: dict[str, Callable[[Image.Image, Path], None]] = {
    "large.jpg": _large,
    "upright.jpg": _upright,
    "tiny.jpg": lambda image, path: image.resize((61, 47)).save(path),
    "grey.jpg": lambda image, path: image.convert("L").resize((801, 333)).save(path),
    "print.jpg": lambda image, path: image.convert("CMYK").save(path),
    "deep.png": _deep,
    "clear.png": lambda image, path: _clear(image.copy(), path),
    "web.webp": lambda image, path: image.resize((700, 500)).save(path, quality=60),
}
