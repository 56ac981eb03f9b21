"""Where frames come from: a folder of photos or a video file."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from device.errors import PhotoError, SourceError
from device.preprocess import (
    PHOTO_SUFFIXES,
    Pixels,
    Preprocessing,
    load_photo,
    prepare_frame,
)

VIDEO_SUFFIXES = frozenset({".mp4", ".mkv", ".avi", ".mov", ".webm", ".mjpeg", ".mjpg", ".ts"})


@dataclass(frozen=True)
class Frame:
    """One picture from a source, prepared for the model, or why it could not be."""

    name: str
    """Path of the photo, or the video's path with the frame's number."""
    pixels: Pixels | None
    error: str = ""
    prepare_s: float = 0.0
    """Time to read, decode and prepare it, seconds."""


class FrameSource(Protocol):
    """Something that yields prepared frames until it ends."""

    def frames(self) -> Iterator[Frame]:
        """Yield frames; raises SourceError when there can be no more through a fault."""
        ...


@dataclass(frozen=True)
class FolderSource:
    """The photos of a folder, by name, once."""

    folder: Path
    preprocessing: Preprocessing

    def frames(self) -> Iterator[Frame]:
        """Yield one frame per photo; a damaged photo gives a frame with an error."""
        for path in photos_below(self.folder):
            started = time.perf_counter()
            try:
                pixels, error = load_photo(path, self.preprocessing), ""
            except PhotoError as problem:
                pixels, error = None, str(problem)
            yield Frame(str(path), pixels, error, time.perf_counter() - started)


@dataclass(frozen=True)
class VideoSource:
    """The frames of a video file, through PyAV (the `video` extra)."""

    path: Path
    preprocessing: Preprocessing

    def frames(self) -> Iterator[Frame]:
        """Yield every frame in order.

        Raises:
            SourceError: if PyAV is missing or the file is no readable video.
        """
        try:
            import av
        except ImportError as error:
            raise SourceError(
                "video files need PyAV: pip install av (the package's `video` extra)"
            ) from error
        try:
            with av.open(str(self.path)) as container:
                started = time.perf_counter()
                for number, frame in enumerate(container.decode(video=0)):
                    pixels = prepare_frame(frame.to_ndarray(format="rgb24"), self.preprocessing)
                    prepare_s = time.perf_counter() - started
                    yield Frame(f"{self.path}#{number}", pixels, "", prepare_s)
                    started = time.perf_counter()
        except (av.FFmpegError, IndexError) as error:
            raise SourceError(f"{self.path}: not a readable video ({error})") from error


def open_source(address: str, preprocessing: Preprocessing) -> FrameSource:
    """The source for an address: a folder, or a video file by its suffix.

    Raises:
        SourceError: if there is nothing, or nothing that gives frames.
    """
    path = Path(address)
    if path.is_dir():
        if next(photos_below(path), None) is None:
            raise SourceError(f"{address}: no photos in this folder ({_suffixes()})")
        return FolderSource(path, preprocessing)
    if not path.exists():
        raise SourceError(f"{address}: no such folder or video file")
    if path.suffix.lower() not in VIDEO_SUFFIXES:
        raise SourceError(f"{address}: neither a folder of photos nor a known kind of video file")
    return VideoSource(path, preprocessing)


def photos_below(folder: Path) -> Iterator[Path]:
    """Photo files in a folder and its subfolders, by name; hidden ones are passed over."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            if not path.is_symlink():
                yield from photos_below(path)
        elif path.suffix.lower() in PHOTO_SUFFIXES:
            yield path


def _suffixes() -> str:
    return ", ".join(sorted(PHOTO_SUFFIXES))
