"""The sink that saves frames worth learning from, into a folder of limited size.

    PATH/<class>/...jpg                    labelled by a person; `make train DATA=` reads these
    PATH/_review/<predicted>/...jpg        the model was unsure; not used until sorted
    PATH/_review/<predicted>/...random.jpg of a moment drawn at random, whatever the model said

Uncertainty sampling by the margin of the two best scores (Scheffer, Decomain and Wrobel 2001).
"""

import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from device import clock
from device.contract.names import MAX_NAME_BYTES, name_problem, settled
from device.contract.provenance import LABELLED, RANDOM, REVIEW
from device.errors import ClassNameError, OutputError
from device.files import size_on_disk
from device.outputs.collect import snapshot
from device.outputs.collect.folder import RANDOM_END, write_whole
from device.outputs.collect.moments import RandomMoments
from device.outputs.collect.room import Room
from device.settings.sections import CollectConfig
from device.telemetry.observation import UNKNOWN, Observation
from device.telemetry.status import Status

PROBE_S = 10.0
"""How often a full disk is tried again."""
MAX_REMEMBERED = 32
SAME_PICTURE_DIFFERENCE = 4.0
"""Thumbnails whose grey values differ by less than this on average count as the same picture."""
CHANGED, UNCERTAIN = "changed", "uncertain"


class Collector:
    """Saves frames that the model is unsure about, and random ones, in limited space."""

    name = "collect"

    def __init__(
        self,
        config: CollectConfig,
        threshold: float | None = None,
        moments: RandomMoments | None = None,
    ) -> None:
        """Prepare; no file is touched before the first picture.

        Args:
            config: the section of the settings.
            threshold: from the smoothing settings; None for the model's own.
            moments: when random photos are taken; by default as the section says.
        """
        self._config, self._threshold = config, threshold
        self._moments = moments or RandomMoments(config.random_per_day)
        self._folder = Path(config.path)
        self._lock = threading.Lock()
        self._interval_s = 60 / config.max_per_minute
        self._room = Room(config)
        self._next_save_s = self._next_probe_s = float("-inf")
        self._saved_total = 0
        self._recent: list[npt.NDArray[np.float32]] = []
        self._problem = ""
        self._refused = (0, "")
        self._kept = (float("nan"), "")

    @property
    def wants_pictures(self) -> bool:
        """Only while one could be saved."""
        return not self._problem and (self._may_save_doubt or self._moments.waits)

    @property
    def figures(self) -> Mapping[str, float]:
        """Photos saved and removed since the start, and the space that all of them take."""
        return {
            "photos_saved_total": self._saved_total,
            "photos_removed_total": self._room.removed_total,
            "used_bytes": self._room.used_bytes,
        }

    def publish(self, observation: Observation) -> None:
        """Save the observation's picture if its moment was drawn, or if the model is unsure.

        A frame is saved once: one of a random moment is not saved as a doubtful one, too.

        Raises:
            OutputError: while nothing can be saved.
        """
        self._raise_problem()
        drawn = self._moments.takes(observation.monotonic_s)
        if observation.picture is None:
            return
        if drawn:
            self._save_unlabelled(observation, RANDOM)
        elif self._may_save_doubt:
            self._save_if_doubtful(observation)

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
            self._room.tidy()
            if self._problem and time.monotonic() >= self._next_probe_s:
                self._probe()
        self._raise_problem()

    def close(self) -> None:
        """Log what was removed. Photos need nothing: each is complete once it has its name."""
        with self._lock:
            self._room.log_removed()

    @property
    def _may_save_doubt(self) -> bool:
        return time.monotonic() >= self._next_save_s

    def _save_if_doubtful(self, observation: Observation) -> None:
        threshold = observation.model.threshold if self._threshold is None else self._threshold
        reason = why_save(observation, threshold, self._config)
        if reason and not self._was_seen(_small(observation)):
            self._save_unlabelled(observation, reason)
            self._next_save_s = time.monotonic() + self._interval_s

    def _save_unlabelled(self, observation: Observation, reason: str) -> None:
        predicted = observation.model.labels[int(observation.scores.argmax())]
        self._save(observation, reason, predicted, Path(REVIEW, folder_name(predicted)))
        self._recent = [*self._recent, _small(observation)][-MAX_REMEMBERED:]
        self._moments.postpone()

    def _was_seen(self, small: npt.NDArray[np.float32]) -> bool:
        differences = (float(np.abs(small - other).mean()) for other in self._recent)
        return any(difference < SAME_PICTURE_DIFFERENCE for difference in differences)

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
        is_random = reason == RANDOM
        probability = self._moments.probability if is_random else None
        quality = self._config.jpeg_quality
        data = snapshot.photo(observation, reason, label, quality, probability)
        name = folder / snapshot.file_name(observation, data, RANDOM_END if is_random else ".jpg")
        undated = reason != LABELLED and not clock.is_synchronized()
        with self._lock:
            try:
                self._room.make(len(data), reason)
                write_whole(self._folder / name, data, undated=undated)
            except OSError as error:
                self._refuse(error, len(data), reason)
            self._room.used_bytes += size_on_disk(len(data))
            self._saved_total += 1
            self._problem = ""
        return name.as_posix()

    def _refuse(self, error: OSError, size_bytes: int, reason: str) -> None:
        self._problem = f"{self._folder}: {error.strerror or error}; nothing is saved"
        self._refused = (size_bytes, reason)
        self._next_probe_s = time.monotonic() + PROBE_S
        raise OutputError(self._problem) from error

    def _probe(self) -> None:
        """Test the disk: write as many bytes as failed before, and remove them again."""
        self._next_probe_s = time.monotonic() + PROBE_S
        path = self._folder / REVIEW / f"{snapshot.stamp(0)}-00000000.jpg"
        size_bytes, reason = self._refused
        try:
            self._room.make(size_bytes, reason)
            write_whole(path, bytes(size_bytes))
            path.unlink()
            self._problem = ""
        except OSError as error:
            self._problem = f"{self._folder}: {error.strerror or error}; nothing is saved"


def _small(observation: Observation) -> npt.NDArray[np.float32]:
    return snapshot.thumbnail(snapshot.classified_part(observation))


def why_save(observation: Observation, threshold: float, config: CollectConfig) -> str:
    """Why a frame should be saved for review: changed, unknown, uncertain; empty if it should not.

    Args:
        observation: its own scores count, not the smoothed ones.
        threshold: below it the label is "unknown".
        config: its `margin` is the distance that counts as close.
    """
    if not observation.scores.any():
        # Not classified: nothing is there.
        return ""
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
