"""Keeps what is known of the camera's place in files, and reads the mask when it is drawn.

On a thread of its own: a disk that hangs must not keep frames waiting, nor the end of the service.
"""

import logging
import os
import threading
import time
from pathlib import Path

from device.contract import mask
from device.contract.look.change import Background
from device.errors import MaskError
from device.inference import kept
from device.inference.looking import Looking
from device.settings.sections import Config
from device.settings.state import background_file, mask_in_use

log = logging.getLogger("fieldguide")

CHECK_S = 1.0
FIRST_S = 20.0
"""After a place was learned, so that what comes and goes meanwhile has left the background."""
KEEP_S = 600.0
"""How often backgrounds are written: 55 kB each, at most four."""
CLOSE_S = 0.4
"""How long closing waits for the last write, which takes milliseconds."""

Identity = tuple[int, int, int]
"""Inode, modification time and size of a file."""


class PlaceKeeper:
    """Writes the backgrounds now and then and at the end; notices another mask within a second."""

    def __init__(self, looking: Looking, config: Config) -> None:
        """Start; the mask is read at once."""
        self._looking, self._config = looking, config
        self._mask: tuple[Path, Identity | None] | None = None
        """The mask in use and which file it was; None before the first look for it."""
        self._written: Background | None = None
        """The one that was in use."""
        self._next_s = time.monotonic() + FIRST_S
        self._problem = ""
        self._stop = threading.Event()
        self._look_for_mask()
        self._thread = threading.Thread(target=self._run, name="place", daemon=True)
        self._thread.start()

    def reconfigure(self, config: Config) -> None:
        """Take new settings."""
        self._config = config

    def start_closing(self) -> None:
        """Write the backgrounds a last time and stop; does not wait for that."""
        self._stop.set()

    def close(self) -> bool:
        """Stop, if it was not told to yet; false if the disk hangs."""
        self._stop.set()
        self._thread.join(CLOSE_S)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stop.wait(CHECK_S):
            self._look_for_mask()
            if time.monotonic() >= self._next_s:
                self._keep()
        self._keep()

    def _keep(self) -> None:
        known = self._looking.known
        if known is None or known[1][0] is self._written:
            return
        path = background_file(self._config)
        try:
            kept.write(path, *known)
        except OSError as error:
            self._say(f"the background cannot be kept in {path}: {error.strerror}")
        else:
            self._problem = ""
        self._written, self._next_s = known[1][0], time.monotonic() + KEEP_S

    def _look_for_mask(self) -> None:
        path = mask_in_use(self._config)
        now = (path, _identity(path))
        if now == self._mask:
            return
        self._mask = now
        if now[1] is None:
            self._looking.use_mask(None)
            if self._config.camera.mask:
                log.warning("look: %s: no such mask; it looks everywhere", path)
            return
        try:
            self._looking.use_mask(mask.read(path))
        except MaskError as error:
            log.warning("look: the mask is not used: %s", error)
        else:
            log.info("look: only where %s is white", path)

    def _say(self, problem: str) -> None:
        if problem != self._problem:
            log.warning("look: %s", problem)
        self._problem = problem


def _identity(path: Path) -> Identity | None:
    """Tells another file from the one before; None if there is none."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
