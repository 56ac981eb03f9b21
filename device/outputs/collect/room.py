"""Room for photos: the folder stays below its limits of size, age and free space on the disk."""

import errno
import logging
import os
import time
from collections.abc import Sequence
from pathlib import Path

from device import clock
from device.contract.provenance import LABELLED, RANDOM
from device.files import size_on_disk
from device.outputs.collect.folder import (
    Saved,
    first_to_go,
    saved_photos,
    start_ageing,
    too_many,
    too_many_random,
    too_old,
)
from device.settings.sections import CollectConfig

log = logging.getLogger("fieldguide")

MB = 1_000_000
RESCAN_S = 600.0
"""How often the folder is read again: files age, and people move them."""
LOG_INTERVAL_S = 60.0
"""Shortest time between log lines about removed photos."""
SHRINK_TO = 0.95
"""A folder above its limit is reduced to this share of it, so that this happens rarely."""
RANDOM_SHARE = 0.1
"""Photos of random moments may take this share of `max_mb`."""


class Room:
    """Removes photos that nobody labelled, when there are too many; for one thread at a time."""

    def __init__(self, config: CollectConfig) -> None:
        self.used_bytes = self.removed_total = 0
        self._config, self._folder = config, Path(config.path)
        self._most_bytes = config.max_mb * MB
        self._next_scan_s = self._next_disk_cleanup_s = self._next_log_s = float("-inf")
        self._unlogged: dict[str, int] = {}

    def make(self, wanted_bytes: int, reason: str) -> None:
        """Remove unlabelled photos until folder and disk have room; no doubtful one costs a random.

        Args:
            wanted_bytes: size of the photo that is to be saved.
            reason: why, as in `Provenance`.

        Raises:
            OSError: if removing them cannot make enough room, or the photo alone is above the
                limit; then none is removed.
        """
        size_bytes, spare_random = size_on_disk(wanted_bytes), reason not in (LABELLED, RANDOM)
        if reason == RANDOM or time.monotonic() >= self._next_scan_s:
            self._tidy(self._most_bytes)
        if size_bytes > self._most_bytes:
            raise OSError(errno.EFBIG, f"a photo is larger than max_mb = {self._config.max_mb}")
        replaced = self._replaced(size_bytes) if reason == RANDOM else []
        self._shrink(self._most_bytes - size_bytes, replaced, spare_random=spare_random)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._free_disk(wanted_bytes, replaced, spare_random=spare_random)
        if reason == RANDOM:
            # Last: now it is certain that the new one takes their place.
            tenth = f"random ones above a tenth of max_mb = {self._config.max_mb}"
            self._remove(self._replaced(size_bytes), tenth)

    def tidy(self) -> None:
        """Now and then, remove photos that are too old, and log what was removed."""
        if time.monotonic() >= self._next_scan_s and self._folder.is_dir():
            self._tidy(self._most_bytes)
        if time.monotonic() >= self._next_log_s:
            self.log_removed()

    def log_removed(self) -> None:
        """Log how many photos were removed since the last time."""
        self._next_log_s = time.monotonic() + LOG_INTERVAL_S
        for why, count in self._unlogged.items():
            log.info("output.collect: removed %d photos that nobody had labelled, %s", count, why)
        self._unlogged.clear()

    def _replaced(self, size_bytes: int) -> list[Saved]:
        """The random photos whose place a new one of this size takes."""
        limit_bytes = int(self._most_bytes * RANDOM_SHARE) - size_bytes
        return too_many_random(saved_photos(self._folder), limit_bytes)

    def _shrink(self, limit_bytes: int, replaced: Sequence[Saved], *, spare_random: bool) -> None:
        """Get the folder, without the photos to be replaced, below a limit."""
        replaced_bytes = sum(file.bytes for file in replaced)
        for share in (SHRINK_TO, 1):
            if self.used_bytes - replaced_bytes > limit_bytes:
                self._tidy(int(limit_bytes * share), replaced, spare_random=spare_random)
        if self.used_bytes - replaced_bytes > limit_bytes:
            limit_mb = self._config.max_mb
            full = f"labelled photos fill max_mb = {limit_mb}: move them away, or raise it"
            raise OSError(errno.EDQUOT, full)

    def _free_disk(
        self, wanted_bytes: int, replaced: Sequence[Saved], *, spare_random: bool
    ) -> None:
        lacking = self._missing_bytes(wanted_bytes)
        if lacking <= 0:
            return
        # Some file systems free space later, or never: then removing more would be useless.
        if time.monotonic() >= self._next_disk_cleanup_s:
            gone = self._first_to_go(lacking, replaced, spare_random=spare_random)
            self._remove(gone, "to make room on the disk")
            if self._missing_bytes(wanted_bytes) <= 0:
                return
            if gone:
                self._next_disk_cleanup_s = time.monotonic() + RESCAN_S
        problem = f"no room on its disk (min_free_mb = {self._config.min_free_mb})"
        raise OSError(errno.ENOSPC, problem)

    def _first_to_go(
        self, lacking_bytes: int, replaced: Sequence[Saved], *, spare_random: bool
    ) -> list[Saved]:
        """What to remove from a full disk, the photos to be replaced first; none if in vain."""
        files = [file for file in saved_photos(self._folder) if file not in replaced]
        still_lacking = lacking_bytes - sum(file.bytes for file in replaced)
        others = first_to_go(files, still_lacking, spare_random=spare_random)
        enough = sum(file.bytes for file in others) >= still_lacking
        return [*replaced, *others] if enough else []

    def _missing_bytes(self, wanted_bytes: int) -> int:
        disk = os.statvfs(self._folder)
        free = disk.f_bavail * disk.f_frsize
        return self._config.min_free_mb * MB + size_on_disk(wanted_bytes) - free

    def _tidy(
        self, limit_bytes: int, replaced: Sequence[Saved] = (), *, spare_random: bool = False
    ) -> None:
        """Remove unlabelled photos that are too old, then the first to go until below the limit.

        The photos to be replaced neither go yet nor count.
        """
        self._next_scan_s = time.monotonic() + RESCAN_S
        files = saved_photos(self._folder)
        self.used_bytes = sum(f.bytes for f in files)
        if clock.is_synchronized():
            start_ageing(files)
            old = too_old(files, time.time() - self._config.max_age_days * 86400)
            self._remove(old, f"older than max_age_days = {self._config.max_age_days:g}")
            files = [file for file in files if file not in set(old)]
        files = [file for file in files if file not in replaced]
        gone = too_many(files, limit_bytes, spare_random=spare_random)
        self._remove(gone, f"above max_mb = {self._config.max_mb}")

    def _remove(self, files: Sequence[Saved], why: str) -> None:
        for file in files:
            file.path.unlink(missing_ok=True)
            self.used_bytes -= file.bytes
            self.removed_total += 1
            self._unlogged[why] = self._unlogged.get(why, 0) + 1
