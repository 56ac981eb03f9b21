"""The sink that saves frames worth learning from, into a folder that cannot outgrow its bounds.

    PATH/<class>/...jpg             labelled by a person; `make train DATA=` reads these
    PATH/_review/<predicted>/...jpg saved by the model's doubts; ignored until a person sorts them

Uncertainty sampling by the margin of the two best scores (Scheffer, Decomain and Wrobel 2001).
"""

import errno
import hashlib
import io
import logging
import math
import os
import platform
import re
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from device import __version__
from device.config import CollectConfig
from device.errors import OutputError
from device.observation import UNKNOWN, Observation, Status
from device.preprocess import Pixels
from device.provenance import REVIEW, Provenance

log = logging.getLogger("fieldguide")

MB = 1_000_000
RESCAN_S = 600.0
"""How often the folder is read anew: files age, and people take them away."""
PROBE_S = 10.0
"""How often a full disk is tried again."""
SHRINK_TO = 0.95
"""A folder that is too large shrinks to this share of its limit, so that it seldom has to."""
BLOCK_BYTES = 4096
EARLIEST_S = datetime(2025, 1, 1, tzinfo=UTC).timestamp()
"""A photo from before was saved by a clock that was not set yet: its age is unknown."""
NAME = re.compile(r"\.?\d{8}T\d{6}\.\d{3}Z-[0-9a-f]{8}\.jpg")
"""Only files with such names are ever counted or removed; a dot means not whole yet."""
REMEMBERED = 32
THUMBNAIL_PX = 16
SAME_PICTURE = 4.0
"""Thumbnails whose grey values differ by less than this on average show the same thing."""
LABELLED, CHANGED, UNCERTAIN = "labelled", "changed", "uncertain"
MAX_LABEL_BYTES = 100


@dataclass(frozen=True)
class Saved:
    """One file in the folder."""

    path: Path
    bytes: int
    """On disk, about."""
    modified_s: float
    labelled: bool


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
        self._used_bytes = 0
        self._recent: list[npt.NDArray[np.float32]] = []
        self._problem = ""
        self._refused_bytes = 0
        self._kept = (float("nan"), "")

    @property
    def wants_pictures(self) -> bool:
        """Only while one could be saved."""
        return not self._problem and time.monotonic() >= self._next_save_s

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
        pixels = _seen(observation)
        small = _thumbnail(pixels)
        if any(float(np.abs(small - other).mean()) < SAME_PICTURE for other in self._recent):
            return
        predicted = observation.model.labels[int(observation.scores.argmax())]
        self._save(observation, pixels, reason, predicted)
        self._next_save_s = time.monotonic() + self._interval_s
        self._recent = [*self._recent, small][-REMEMBERED:]

    def keep(self, observation: Observation, label: str) -> str:
        """Save the observation's picture as an example of `label`; called from any thread.

        The same frame under another label takes the place of the one before.

        Returns:
            The file's name, with its class folder.

        Raises:
            OutputError: if there is no picture, no room, or the label is no folder's name.
        """
        if observation.picture is None:
            raise OutputError("this frame has no picture any more; try the next one")
        problem = label_problem(label)
        if problem:
            raise OutputError(f"label {label!r}: {problem}")
        name = self._save(observation, _seen(observation), LABELLED, label)
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
        self._raise_problem()

    def close(self) -> None:
        """Nothing to do: each photo is whole as soon as it has its name."""

    def _raise_problem(self) -> None:
        if self._problem:
            raise OutputError(self._problem)

    def _save(self, observation: Observation, pixels: Pixels, reason: str, label: str) -> str:
        data = _jpeg(pixels, _provenance(observation, reason, label), self._config.jpeg_quality)
        folder = Path(label) if reason == LABELLED else Path(REVIEW, folder_name(label))
        name = folder / _file_name(observation, data)
        with self._lock:
            try:
                self._make_room(len(data))
                _write(self._folder / name, data)
            except OSError as error:
                self._refuse(error, len(data))
            self._used_bytes += _on_disk(len(data))
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
        path = self._folder / REVIEW / f"{_stamp(0)}-00000000.jpg"
        try:
            self._make_room(self._refused_bytes)
            _write(path, bytes(self._refused_bytes))
            path.unlink()
            self._problem = ""
        except OSError as error:
            self._problem = f"{self._folder}: {error.strerror or error}; nothing is saved"

    def _make_room(self, wanted_bytes: int) -> None:
        """Let the oldest go until there is room inside the folder's limit and on the disk.

        Raises:
            OSError: if the disk is too full however many go, or one photo is above the limit.
        """
        if time.monotonic() >= self._next_scan_s:
            self._tidy(self._config.max_mb * MB)
        limit = self._config.max_mb * MB - _on_disk(wanted_bytes)
        if limit < 0:
            raise OSError(errno.EFBIG, f"a photo is larger than max_mb = {self._config.max_mb}")
        if self._used_bytes > limit:
            self._tidy(int(limit * SHRINK_TO))
        self._folder.mkdir(parents=True, exist_ok=True)
        lacking = self._lacking(wanted_bytes)
        if lacking > 0:
            # On a disk that others filled only doubts make way: labels are a person's work.
            doubts = [file for file in _files(self._folder) if not file.labelled]
            self._remove(_oldest(doubts, lacking))
            if self._lacking(wanted_bytes) > 0:
                problem = f"no room on its disk (min_free_mb = {self._config.min_free_mb})"
                raise OSError(errno.ENOSPC, problem)

    def _lacking(self, wanted_bytes: int) -> int:
        disk = os.statvfs(self._folder)
        free = disk.f_bavail * disk.f_frsize
        return self._config.min_free_mb * MB + _on_disk(wanted_bytes) - free

    def _tidy(self, limit_bytes: int) -> None:
        """Remove unlabelled photos that are too old, then the oldest ones above the limit."""
        self._next_scan_s = time.monotonic() + RESCAN_S
        files = _files(self._folder)
        gone = too_many(files, limit_bytes, time.time() - self._config.max_age_days * 86400)
        self._used_bytes = sum(f.bytes for f in files)
        self._remove(gone)
        labelled = sum(f.labelled for f in gone)
        if labelled:
            log.warning(
                "output.collect: %d labelled photos gone, the oldest, to stay below %d MB: "
                "fetch them earlier, or raise max_mb",
                labelled,
                self._config.max_mb,
            )

    def _remove(self, files: list[Saved]) -> None:
        for file in files:
            file.path.unlink(missing_ok=True)
            self._used_bytes -= file.bytes


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


def too_many(files: list[Saved], limit_bytes: int, oldest_s: float) -> list[Saved]:
    """Which files go: unlabelled ones from before `oldest_s`, then the oldest above the limit.

    Labelled ones go last, and only for room, never for age.
    """
    gone: list[Saved] = []
    left: list[Saved] = []
    for file in files:
        too_old = not file.labelled and EARLIEST_S <= file.modified_s < oldest_s
        (gone if too_old else left).append(file)
    return gone + _oldest(left, sum(f.bytes for f in left) - limit_bytes)


def label_problem(label: str) -> str:
    """Why a label cannot be the name of a class folder; empty if it can."""
    if not label or label != label.strip() or not label.isprintable():
        return "write some letters, without spaces around them"
    if label[0] in "._" or "/" in label or "\\" in label:
        return "must not begin with . or _, nor hold a slash"
    if len(label.encode()) > MAX_LABEL_BYTES:
        return f"longer than {MAX_LABEL_BYTES} bytes"
    return ""


def folder_name(predicted: str) -> str:
    """A class of the model as the name of a folder; the class itself wherever that can be one."""
    if not label_problem(predicted):
        return predicted
    letters = "".join(c if c.isalnum() else "-" for c in predicted[: MAX_LABEL_BYTES // 5])
    return f"class {letters}".strip()


def _oldest(files: list[Saved], wanted_bytes: int) -> list[Saved]:
    """The files to remove to gain so many bytes: unlabelled before labelled, then by age."""
    gone, gained = [], 0
    for file in sorted(files, key=lambda f: (f.labelled, f.modified_s, f.path)):
        if gained >= wanted_bytes:
            break
        gone.append(file)
        gained += file.bytes
    return gone


def _files(folder: Path) -> list[Saved]:
    """The photos that this module saved there; what a kill left half written is removed."""
    found = []
    for parent, _, names in os.walk(folder):
        labelled = Path(parent).relative_to(folder).parts[:1] != (REVIEW,)
        for path in (Path(parent, name) for name in names if NAME.fullmatch(name)):
            try:
                if path.name.startswith("."):
                    path.unlink()
                    continue
                state = path.stat()
            except FileNotFoundError:
                # Someone fetched it meanwhile.
                continue
            found.append(Saved(path, _on_disk(state.st_size), state.st_mtime, labelled))
    return found


def _on_disk(size_bytes: int) -> int:
    return math.ceil(size_bytes / BLOCK_BYTES) * BLOCK_BYTES


def _seen(observation: Observation) -> Pixels:
    """The part of the picture that the model saw: what is judged is what is learned from."""
    assert observation.picture is not None
    left, upper, right, lower = observation.crop_box
    return observation.picture[upper:lower, left:right]


def _thumbnail(pixels: Pixels) -> npt.NDArray[np.float32]:
    """Grey values (16, 16) of a picture, 0..255."""
    image = Image.fromarray(pixels).convert("L")
    size = (THUMBNAIL_PX, THUMBNAIL_PX)
    return np.asarray(image.resize(size, Image.Resampling.BOX), np.float32)


def _provenance(observation: Observation, reason: str, label: str) -> Provenance:
    order = np.argsort(-observation.scores, kind="stable")[:5]
    names = observation.model.labels
    return Provenance(
        reason=reason,
        label=label,
        top={names[i]: round(float(observation.scores[i]), 4) for i in order},
        time=datetime.fromtimestamp(observation.unix_s, UTC).isoformat(timespec="milliseconds"),
        device=platform.node(),
        model_sha256=observation.model.sha256,
        source=observation.source,
    )


def _jpeg(pixels: Pixels, provenance: Provenance, quality: int) -> bytes:
    data = io.BytesIO()
    exif = provenance.exif(f"Fieldguide {__version__}")
    Image.fromarray(pixels).save(data, "JPEG", quality=quality, exif=exif)
    return data.getvalue()


def _file_name(observation: Observation, data: bytes) -> str:
    """Sorted by time; the digest keeps apart what two devices, or a clock set back, save."""
    return f"{_stamp(observation.unix_s)}-{hashlib.sha256(data).hexdigest()[:8]}.jpg"


def _stamp(unix_s: float) -> str:
    moment = datetime.fromtimestamp(unix_s, UTC)
    return moment.strftime("%Y%m%dT%H%M%S") + f".{moment.microsecond // 1000:03}Z"


def _write(path: Path, data: bytes) -> None:
    """Write a whole file that survives a power cut, or none; half of one stays hidden."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}")
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.rename(path)
    finally:
        part.unlink(missing_ok=True)
