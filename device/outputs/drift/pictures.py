"""What the camera showed at this hour of the day while its usual days were learned, and now."""

from contextlib import suppress
from pathlib import Path

from device import files
from device.contract.arrays import Pixels
from device.drift.day import HOURS
from device.visits import picture

THEN, NOW = "then", "now"


class Pictures:
    """One small picture for each hour, in files; and the newest, in memory."""

    def __init__(self, folder: Path) -> None:
        """Nothing is read or written yet."""
        self._folder = folder
        self._hour = -1
        self._newest: Pixels | None = None
        self._written: set[int] = set()

    def take(self, hour: int, pixels: Pixels, *, learning: bool) -> None:
        """Take the picture of a moment, and keep the first of an hour while it is learned.

        Args:
            hour: of the day, or `NO_HOUR`.
            pixels: uint8 (h, w, 3), R, G, B, small; it must not change any more.
            learning: whether usual days are being learned.

        Raises:
            OSError: if it cannot be written.
        """
        self._hour, self._newest = hour, pixels
        if learning and hour not in self._written:
            self._folder.mkdir(parents=True, exist_ok=True)
            files.write_bytes(self._path(hour), picture.jpeg(pixels))
            self._written.add(hour)

    def forget(self) -> None:
        """Forget what was: usual days are learned from the beginning."""
        self._written.clear()
        for hour in range(HOURS):
            with suppress(OSError):
                self._path(hour).unlink(missing_ok=True)

    def get(self, which: str) -> bytes | None:
        """A JPEG; None if there is none. `THEN` is of the same hour of the day as `NOW`."""
        if which == NOW:
            newest = self._newest
            return None if newest is None else picture.jpeg(newest)
        if which != THEN:
            return None
        try:
            return self._path(self._hour).read_bytes() if self._hour >= 0 else None
        except OSError:
            return None

    def _path(self, hour: int) -> Path:
        return self._folder / f"then-{hour:02d}.jpg"
