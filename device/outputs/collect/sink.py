"""The sink that saves frames worth learning from, into a folder of limited size.

PATH/<class>/...jpg                    labelled by a person; `make train DATA=` reads these
PATH/_review/<predicted>/...jpg        the model was unsure; not used until sorted
PATH/_review/<predicted>/...world.jpg  likewise, of an alarm of the world, and unlike the others
PATH/_review/<predicted>/...random.jpg of a moment drawn at random, whatever the model said
PATH/_review/_other/...random.jpg      the same, while nothing was there
"""

import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt

from device import clock
from device.contract.look.rules import Seen
from device.contract.names import MAX_NAME_BYTES, name_problem, settled
from device.contract.provenance import LABELLED, OTHER, RANDOM, REVIEW, WORLD
from device.drift.sample import Family
from device.drift.status import DriftStatus
from device.errors import ClassNameError, OutputError
from device.files import size_on_disk
from device.outputs.collect import snapshot
from device.outputs.collect.folder import RANDOM_END, WORLD_END, write_whole
from device.outputs.collect.moments import RandomMoments
from device.outputs.collect.room import Room
from device.outputs.collect.snapshot import Shot
from device.outputs.collect.unlike import Unlike
from device.outputs.collect.worth import (
    CHANGED,
    Chosen,
    choose,
    is_doubtful,
    why_save,
    why_save_visit,
)
from device.settings.region import WHOLE, Region
from device.settings.sections import CollectConfig
from device.telemetry.observation import UNKNOWN, Observation
from device.telemetry.status import Status
from device.telemetry.unknown import UnknownRule
from device.visits.visit import Visit

PROBE_S = 10.0
"""How often a full disk is tried again."""
BEST_AHEAD = 4
"""The best frames of so many visits may be saved ahead of `max_per_minute`, and so may frames of an
alarm of the world."""
ENDS = {RANDOM: RANDOM_END, WORLD: WORLD_END}
"""How names end, by reason."""
FOREIGN = {Family.WORLD, Family.PLACE}
"""Alarms at which labels of what is strange are the cure."""
MAX_REMEMBERED = 32
SAME_PICTURE_DIFFERENCE = 4.0
"""Thumbnails whose grey values differ by less than this on average count as the same picture."""


class Collector:
    """Saves frames that the model is unsure about, and random ones, in limited space."""

    name = "collect"

    def __init__(
        self,
        config: CollectConfig,
        threshold: float | None = None,
        moments: RandomMoments | None = None,
        *,
        visits: bool = True,
        region: Region = WHOLE,
    ) -> None:
        """Prepare; no file is touched before the first picture.

        Args:
            config: the section of the settings.
            threshold: from the smoothing settings; None for the model's limit on distances.
            moments: when random photos are taken; by default as the section says.
            visits: whether visits are followed; then what is no visit yet is not saved.
            region: what of the frames is looked at, and saved.
        """
        self._alarm, self._unlike = False, Unlike()
        self._region = region
        self._config, self._threshold, self._follows = config, threshold, visits
        self._chosen: Chosen | None = None
        self._in_visit = False
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
        wanted = self._may_save_doubt or self._moments.waits
        first = self._in_visit or self._alarm
        return not self._problem and (wanted or (first and self._may_save_ahead(BEST_AHEAD)))

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

        A frame is saved once: one of a random moment is not saved as a doubtful one, too. Of a
        visit some frames are chosen while it goes on, and saved when it has ended.

        Raises:
            OutputError: while nothing can be saved.
        """
        self._raise_problem()
        drawn = self._moments.takes(observation.monotonic_s)
        self._in_visit = observation.visit is not None
        if observation.ended_visit is not None:
            self._save_visit(observation.ended_visit)
        if observation.picture is None:
            return
        if drawn:
            self._save_unlabelled(self._shot(observation), RANDOM, _predicted(observation))
        elif self._is_of_visit(observation):
            self._choose(observation)
        elif self._may_save_ahead(BEST_AHEAD if self._alarm else 0):
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
        name = self._save(self._shot(observation), LABELLED, label, Path(label))
        with self._lock:
            frame, before = self._kept
            if frame == observation.monotonic_s and before != name:
                # The same frame was labelled again.
                (self._folder / before).unlink(missing_ok=True)
            self._kept = (observation.monotonic_s, name)
        return name

    def tick(self, status: Status) -> None:
        """Heed alarms, remove photos that are too old, and see if a full disk has room again.

        Raises:
            OutputError: while nothing can be saved.
        """
        self._heed(status.drift)
        with self._lock:
            self._room.tidy()
            if self._problem and time.monotonic() >= self._next_probe_s:
                self._probe()
        self._raise_problem()

    def close(self) -> None:
        """Save what was chosen of a visit that goes on, and log what was removed."""
        with suppress(OutputError):
            if self._chosen is not None and not self._problem:
                self._save_visit(self._chosen.visit)
        with self._lock:
            self._room.log_removed()

    def _heed(self, drift: DriftStatus | None) -> None:
        """While world or place are others, what is strange, and unlike the rest, is saved first."""
        self._alarm = drift is not None and bool(FOREIGN & set(drift.alarms))
        if not self._alarm:
            self._unlike.forget()

    @property
    def _may_save_doubt(self) -> bool:
        return self._may_save_ahead(0)

    def _may_save_ahead(self, photos: int) -> bool:
        """Whether one may be saved although so many pauses of the rate are still to come."""
        return self._next_save_s <= time.monotonic() + photos * self._interval_s

    def _is_of_visit(self, observation: Observation) -> bool:
        """Whether a frame shows a visitor, or what may become one and is gone if it does not."""
        something = self._follows and observation.seen is Seen.SOMETHING
        return observation.visit is not None or something

    def _choose(self, observation: Observation) -> None:
        if observation.visit is not None and observation.ended_visit is None:
            rule = self._rule_of(observation)
            self._chosen = choose(self._chosen, observation, rule, self._config, self._shot)

    def _shot(self, observation: Observation) -> Shot:
        return snapshot.shot(observation, self._config.jpeg_quality, self._region)

    def _save_visit(self, visit: Visit) -> None:
        """Save the best frame of a visit, and then the one of most doubt, within the rate."""
        chosen = self._chosen
        if chosen is None or chosen.visit.id != visit.id or chosen.best is None:
            return
        rule = self._rule_of(chosen.best.observation)
        why = why_save_visit(visit, rule, self._config)
        named = visit.top[0][0] if visit.label == UNKNOWN and visit.top else visit.label
        for shot, reason in chosen.photos(why):
            # Visits come in no steady rhythm; later pauses make up for it.
            first = self._is_first(shot.observation, shot.small, doubtful=reason != CHANGED)
            ahead = BEST_AHEAD if first or shot is chosen.best else 1
            if self._may_save_ahead(ahead) and not self._was_seen(shot.small):
                self._save_chosen(shot, WORLD if first else reason, named)
        self._chosen = None

    def _save_if_doubtful(self, observation: Observation) -> None:
        reason = why_save(observation, self._rule_of(observation), self._config)
        if not reason:
            return
        small = _small(observation)
        first = self._is_first(observation, small)
        if (first or self._may_save_doubt) and not self._was_seen(small):
            shot = self._shot(observation)
            self._save_chosen(shot, WORLD if first else reason, _predicted(observation))

    def _is_first(
        self, observation: Observation, small: npt.NDArray[np.float32], *, doubtful: bool = False
    ) -> bool:
        """Whether a frame is saved before others: strange in a changed world, and of a new kind."""
        if not self._alarm:
            return False
        doubtful = doubtful or is_doubtful(observation, self._rule_of(observation), self._config)
        return doubtful and self._unlike.is_new(_traits(observation, small))

    def _save_chosen(self, shot: Shot, reason: str, predicted: str) -> None:
        self._save_unlabelled(shot, reason, predicted)
        self._count_for_rate()
        if reason == WORLD:
            self._unlike.add(_traits(shot.observation, shot.small))

    def _rule_of(self, observation: Observation) -> UnknownRule:
        return UnknownRule.of(observation.model.limit, self._threshold)

    def _count_for_rate(self) -> None:
        self._next_save_s = max(self._next_save_s, time.monotonic()) + self._interval_s

    def _save_unlabelled(self, shot: Shot, reason: str, predicted: str) -> None:
        folder = OTHER if _shows_nothing(shot.observation) else folder_name(predicted)
        self._save(shot, reason, predicted, Path(REVIEW, folder))
        self._recent = [*self._recent, shot.small][-MAX_REMEMBERED:]
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

    def _save(self, shot: Shot, reason: str, label: str, folder: Path) -> str:
        is_random = reason == RANDOM
        data = shot.photo(reason, label, self._moments.probability if is_random else None)
        name = folder / snapshot.file_name(shot.observation, data, ENDS.get(reason, ".jpg"))
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


def _predicted(observation: Observation) -> str:
    """The class that the model names for this very frame; what is said, if it was not asked."""
    if not observation.scores.any():
        return observation.label
    return observation.model.labels[int(observation.scores.argmax())]


def _shows_nothing(observation: Observation) -> bool:
    """Whether nothing is there; the label alone does not tell: it follows a little later."""
    return observation.says_nothing and observation.seen is not Seen.SOMETHING


def _small(observation: Observation) -> npt.NDArray[np.float32]:
    return snapshot.thumbnail(snapshot.classified_part(observation))


def _traits(observation: Observation, small: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """What tells kinds of frames apart: the model's features; without any, the picture itself."""
    features = observation.features
    return (small - small.mean()).ravel() if features is None else features


def folder_name(predicted: str) -> str:
    """A folder name for a class of the model; the class name itself if that is possible."""
    if not name_problem(predicted):
        return predicted
    letters = "".join(c if c.isalnum() else "-" for c in predicted[: MAX_NAME_BYTES // 5])
    return f"class {letters}".strip()
