"""The sink that saves frames worth learning from, into a folder that cannot outgrow its bounds.

    PATH/<class>/...jpg             labelled by a person; `make train DATA=` reads these
    PATH/_review/<predicted>/...jpg saved by the model's doubts; ignored until a person sorts them

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
"""How often the folder is read anew: files age, and people take them away."""
PROBE_S = 10.0
"""How often a full disk is tried again."""
LOG_INTERVAL_S = 60.0
"""How often the log tells of photos that were removed, at most."""
SHRINK_TO = 0.95
"""A folder that is too large shrinks to this share of its limit, so that it seldom has to."""
MAX_REMEMBERED = 32
SAME_PICTURE_DIFFERENCE = 4.0
"""Thumbnails whose grey values differ by less than this on average show the same thing."""
LABELLED, CHANGED, UNCERTAIN = "labelled", "changed", "uncertain"


class Collector:
    """Saves what the model is unsure of, at a bounded rate, in bounded space."""

    name = "collect"

    def __init__(self, config: CollectConfig, threshold: float | None = None) -> None:
        """Make ready; nothing is touched before the first picture.

        Args:
            config: the section of the settings.
            threshold: of the settings' smoothing; None: the model's own.
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
        """Photos saved and removed since the start, and what all of them take."""
        return {
            "photos_saved_total": self._saved_total,
            "photos_removed_total": self._removed_total,
            "used_bytes": self._used_bytes,
        }

    def publish(self, observation: Observation) -> None:
        """Save the observation's picture if it is worth it, and its turn.

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

        A class that is there already keeps its spelling. The same frame under another label takes
        the place of the one before.

        Returns:
            The file's name, with its class folder.

        Raises:
            ClassNameError: if the label is no class's name (`device.contract.names`).
            OutputError: if there is no picture, or no room.
        """
        if observation.picture is None:
            raise OutputError("this frame has no picture any more; try the next one")
        label = self._known_spelling(label, observation.model.labels)
        problem = name_problem(label)
        if problem:
            raise ClassNameError(f"the class's name {problem}")
        name = self._save(observation, LABELLED, label, Path(label))
        with self._lock:
            frame, before = self._kept
            if frame == observation.monotonic_s and before != name:
                # A second thought about the same frame.
                (self._folder / before).unlink(missing_ok=True)
            self._kept = (observation.monotonic_s, name)
        return name

    def tick(self, status: Status) -> None:
        """Remove what is too old, and see whether a full disk has room again.

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
        """Tell what was removed; each photo is whole as soon as it has its name."""
        with self._lock:
            self._log_removed()

    def _raise_problem(self) -> None:
        if self._problem:
            raise OutputError(self._problem)

    def _known_spelling(self, label: str, labels: Sequence[str]) -> str:
        """A class as the model spells it, else as its folder is called, else as it was given."""
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
        """Write as much as was refused, and take it away again."""
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
        """Let the oldest doubts go until there is room inside the folder's limit and on the disk.

        Raises:
            OSError: if the disk or the folder is too full however many go, or one photo is above
                the limit; then none goes.
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
            full = f"labelled photos fill max_mb = {self._config.max_mb}: fetch them, or raise it"
            raise OSError(errno.EDQUOT, full)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._make_room_on_disk(wanted_bytes)

    def _make_room_on_disk(self, wanted_bytes: int) -> None:
        lacking = self._missing_bytes(wanted_bytes)
        if lacking <= 0:
            return
        doubts = [file for file in saved_photos(self._folder) if not file.labelled]
        # Some file systems give room back later, or not at all: then more would go for nothing.
        trade = time.monotonic() >= self._next_disk_cleanup_s
        if trade and sum(file.bytes for file in doubts) >= lacking:
            self._remove(oldest(doubts, lacking), "for room on the disk")
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
        """Remove unlabelled photos that are too old, then the oldest ones above the limit."""
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
    """Why a frame is worth a person's look: changed, unknown, uncertain, or empty for not at all.

    Args:
        observation: of which this frame's own scores count, not the smoothed ones.
        threshold: below which the label is "unknown".
        config: whose `margin` is the distance that counts as near.
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
    """A class of the model as the name of a folder; the class itself wherever that can be one."""
    if not name_problem(predicted):
        return predicted
    letters = "".join(c if c.isalnum() else "-" for c in predicted[: MAX_NAME_BYTES // 5])
    return f"class {letters}".strip()
