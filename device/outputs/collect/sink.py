"""The sink that saves frames worth learning from, into a folder of limited size.

    PATH/<class>/...jpg             labelled by a person; `make train DATA=` reads these
    PATH/_review/<predicted>/...jpg saved because the model was unsure; not used until sorted

Uncertainty sampling by the margin of the two best scores (Scheffer, Decomain and Wrobel 2001).
"""

import errno
import logging
import os
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from device import clock
from device.contract.names import MAX_NAME_BYTES, name_problem, settled
from device.contract.provenance import REVIEW
from device.errors import ClassNameError, OutputError
from device.outputs.collect import snapshot
from device.outputs.collect.folder import (
    Saved,
    oldest,
    saved_photos,
    size_on_disk,
    start_ageing,
    too_many,
    too_old,
    write_whole,
)
from device.settings.sections import CollectConfig
from device.telemetry.observation import UNKNOWN, Observation
from device.telemetry.status import Status

log = logging.getLogger("fieldguide")

MB = 1_000_000
RESCAN_S = 600.0
"""How often the folder is read again: files age, and people move them."""
PROBE_S = 10.0
"""How often a full disk is tried again."""
LOG_INTERVAL_S = 60.0
"""Shortest time between log lines about removed photos."""
SHRINK_TO = 0.95
"""A folder above its limit is reduced to this share of it, so that this happens rarely."""
MAX_REMEMBERED = 32
SAME_PICTURE_DIFFERENCE = 4.0
"""Thumbnails whose grey values differ by less than this on average count as the same picture."""
LABELLED, CHANGED, UNCERTAIN = "labelled", "changed", "uncertain"


class Collector:
    """Saves frames that the model is unsure about, with limits on rate and space."""

    name = "collect"

    def __init__(self, config: CollectConfig, threshold: float | None = None) -> None:
        """Prepare; no file is touched before the first picture.

        Args:
            config: the section of the settings.
            threshold: from the smoothing settings; None for the model's own.
        """
        self._config, self._threshold = config, threshold
        self._folder = Path(config.path)
        self._lock = threading.Lock()
        self._interval_s = 60 / config.max_per_minute
        self._next_save_s = self._next_probe_s = self._next_scan_s = float("-inf")
        self._next_disk_cleanup_s = self._next_log_s = float("-inf")
        self._used_bytes = self._saved_total = self._removed_total = 0
        self._unlogged: dict[str, int] = {}
        self._recent: list[npt.NDArray[np.float32]] = []
        self._problem = ""
        self._refused_bytes = 0
        self._kept = (float("nan"), "")

    @property
    def wants_pictures(self) -> bool:
        """Only while one could be saved."""
        return not self._problem and time.monotonic() >= self._next_save_s

    @property
    def figures(self) -> Mapping[str, float]:
        """Photos saved and removed since the start, and the space that all of them take."""
        return {
            "photos_saved_total": self._saved_total,
            "photos_removed_total": self._removed_total,
            "used_bytes": self._used_bytes,
        }

    def publish(self, observation: Observation) -> None:
        """Save the observation's picture if it is worth it and the rate allows it.

        Raises:
            OutputError: while nothing can be saved.
        """
        self._raise_problem()
        if observation.picture is None or time.monotonic() < self._next_save_s:
            return
        threshold = observation.model.threshold if self._threshold is None else self._threshold
        reason = why_save(observation, threshold, self._config)
        if not reason:
            return
        small = snapshot.thumbnail(snapshot.classified_part(observation))
        if any(
            float(np.abs(small - other).mean()) < SAME_PICTURE_DIFFERENCE for other in self._recent
        ):
            return
        predicted = observation.model.labels[int(observation.scores.argmax())]
        self._save(observation, reason, predicted, Path(REVIEW, folder_name(predicted)))
        self._next_save_s = time.monotonic() + self._interval_s
        self._recent = [*self._recent, small][-MAX_REMEMBERED:]

    def keep(self, observation: Observation, label: str) -> str:
        """Save the observation's picture as an example of `label`; called from any thread.

        An existing class keeps its spelling. Saving the same frame again under another label
        replaces the first one.

        Returns:
            The file's name, with its class folder.

        Raises:
            ClassNameError: if the label cannot be a class name (`device.contract.names`).
            OutputError: if there is no picture, or no room.
        """
        if observation.picture is None:
            raise OutputError("the picture of this frame is gone; try the next one")
        label = self._known_spelling(label, observation.model.labels)
        problem = name_problem(label)
        if problem:
            raise ClassNameError(f"the class name {problem}")
        name = self._save(observation, LABELLED, label, Path(label))
        with self._lock:
            frame, before = self._kept
            if frame == observation.monotonic_s and before != name:
                # The same frame was labelled again.
                (self._folder / before).unlink(missing_ok=True)
            self._kept = (observation.monotonic_s, name)
        return name

    def tick(self, status: Status) -> None:
        """Remove photos that are too old, and check whether a full disk has room again.

        Raises:
            OutputError: while nothing can be saved.
        """
        with self._lock:
            if time.monotonic() >= self._next_scan_s and self._folder.is_dir():
                self._tidy(self._config.max_mb * MB)
            if self._problem and time.monotonic() >= self._next_probe_s:
                self._probe()
            if time.monotonic() >= self._next_log_s:
                self._log_removed()
        self._raise_problem()

    def close(self) -> None:
        """Log what was removed. Photos need nothing: each is complete once it has its name."""
        with self._lock:
            self._log_removed()

    def _raise_problem(self) -> None:
        if self._problem:
            raise OutputError(self._problem)

    def _known_spelling(self, label: str, labels: Sequence[str]) -> str:
        """A class as the model spells it, else as an existing folder does, else as given."""
        spelled = settled(label, labels)
        if spelled in labels or not self._folder.is_dir():
            return spelled
        return settled(label, [entry.name for entry in self._folder.iterdir() if entry.is_dir()])

    def _save(self, observation: Observation, reason: str, label: str, folder: Path) -> str:
        data = snapshot.photo(observation, reason, label, self._config.jpeg_quality)
        name = folder / snapshot.file_name(observation, data)
        undated = reason != LABELLED and not clock.is_synchronized()
        with self._lock:
            try:
                self._make_room(len(data))
                write_whole(self._folder / name, data, undated=undated)
            except OSError as error:
                self._refuse(error, len(data))
            self._used_bytes += size_on_disk(len(data))
            self._saved_total += 1
            self._problem = ""
        return name.as_posix()

    def _refuse(self, error: OSError, size_bytes: int) -> None:
        self._problem = f"{self._folder}: {error.strerror or error}; nothing is saved"
        self._refused_bytes = size_bytes
        self._next_probe_s = time.monotonic() + PROBE_S
        raise OutputError(self._problem) from error

    def _probe(self) -> None:
        """Test the disk: write as many bytes as failed before, and remove them again."""
        self._next_probe_s = time.monotonic() + PROBE_S
        path = self._folder / REVIEW / f"{snapshot.stamp(0)}-00000000.jpg"
        try:
            self._make_room(self._refused_bytes)
            write_whole(path, bytes(self._refused_bytes))
            path.unlink()
            self._problem = ""
        except OSError as error:
            self._problem = f"{self._folder}: {error.strerror or error}; nothing is saved"

    def _make_room(self, wanted_bytes: int) -> None:
        """Remove the oldest unlabelled photos until folder and disk have room.

        Raises:
            OSError: if removing them cannot make enough room, or the photo alone is above the
                limit; then none is removed.
        """
        if time.monotonic() >= self._next_scan_s:
            self._tidy(self._config.max_mb * MB)
        limit = self._config.max_mb * MB - size_on_disk(wanted_bytes)
        if limit < 0:
            raise OSError(errno.EFBIG, f"a photo is larger than max_mb = {self._config.max_mb}")
        for share in (SHRINK_TO, 1):
            if self._used_bytes > limit:
                self._tidy(int(limit * share))
        if self._used_bytes > limit:
            limit_mb = self._config.max_mb
            full = f"labelled photos fill max_mb = {limit_mb}: move them away, or raise it"
            raise OSError(errno.EDQUOT, full)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._make_room_on_disk(wanted_bytes)

    def _make_room_on_disk(self, wanted_bytes: int) -> None:
        lacking = self._missing_bytes(wanted_bytes)
        if lacking <= 0:
            return
        doubts = [file for file in saved_photos(self._folder) if not file.labelled]
        # Some file systems free space later, or never: then removing more would be useless.
        trade = time.monotonic() >= self._next_disk_cleanup_s
        if trade and sum(file.bytes for file in doubts) >= lacking:
            self._remove(oldest(doubts, lacking), "to make room on the disk")
            if self._missing_bytes(wanted_bytes) <= 0:
                return
            self._next_disk_cleanup_s = time.monotonic() + RESCAN_S
        problem = f"no room on its disk (min_free_mb = {self._config.min_free_mb})"
        raise OSError(errno.ENOSPC, problem)

    def _missing_bytes(self, wanted_bytes: int) -> int:
        disk = os.statvfs(self._folder)
        free = disk.f_bavail * disk.f_frsize
        return self._config.min_free_mb * MB + size_on_disk(wanted_bytes) - free

    def _tidy(self, limit_bytes: int) -> None:
        """Remove unlabelled photos that are too old, then the oldest until below the limit."""
        self._next_scan_s = time.monotonic() + RESCAN_S
        files = saved_photos(self._folder)
        self._used_bytes = sum(f.bytes for f in files)
        if clock.is_synchronized():
            start_ageing(files)
            old = too_old(files, time.time() - self._config.max_age_days * 86400)
            self._remove(old, f"older than max_age_days = {self._config.max_age_days:g}")
            files = [file for file in files if file not in set(old)]
        self._remove(too_many(files, limit_bytes), f"above max_mb = {self._config.max_mb}")

    def _remove(self, files: list[Saved], why: str) -> None:
        for file in files:
            file.path.unlink(missing_ok=True)
            self._used_bytes -= file.bytes
            self._removed_total += 1
            self._unlogged[why] = self._unlogged.get(why, 0) + 1

    def _log_removed(self) -> None:
        self._next_log_s = time.monotonic() + LOG_INTERVAL_S
        for why, count in self._unlogged.items():
            log.info("output.collect: removed %d photos that nobody had labelled, %s", count, why)
        self._unlogged.clear()


def why_save(observation: Observation, threshold: float, config: CollectConfig) -> str:
    """Why a frame should be saved for review: changed, unknown, uncertain; empty if it should not.

    Args:
        observation: its own scores count, not the smoothed ones.
        threshold: below it the label is "unknown".
        config: its `margin` is the distance that counts as close.
    """
    if observation.changed and config.changes:
        return CHANGED
    if observation.label == UNKNOWN:
        return UNKNOWN
    scores = np.sort(observation.scores)
    near_second = len(scores) > 1 and scores[-1] - scores[-2] < config.margin
    near_threshold = abs(scores[-1] - threshold) < config.margin
    return UNCERTAIN if near_second or near_threshold else ""


def folder_name(predicted: str) -> str:
    """A folder name for a class of the model; the class name itself if that is possible."""
    if not name_problem(predicted):
        return predicted
    letters = "".join(c if c.isalnum() else "-" for c in predicted[: MAX_NAME_BYTES // 5])
    return f"class {letters}".strip()
