"""Looking before classifying: whether to look at a camera's frames at all, and what that shows.

It outlives models and sources: what is known of a place is kept while rules and region stay the
same.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from device.camera.frame import Frame, FrameSource
from device.contract.arrays import Box
from device.contract.look.looker import Looker
from device.contract.look.rules import LookRules, Outcome, Region, Seen
from device.errors import BundleError
from device.inference.classifier import Classifier
from device.settings.sections import LOOK_AUTO, LOOK_CHANGE, LOOK_WHOLE, CameraConfig

log = logging.getLogger("fieldguide")

MANY_MOVES = 3
STILL_S = 300.0
"""A camera that was moved `MANY_MOVES` times within this time does not stand still, until it was
not moved for as long."""

Look = Callable[[Frame, Classifier], Outcome | None]
"""What a look at a frame shows; None where frames are classified whole, as they come."""


def no_look(frame: Frame, classifier: Classifier) -> None:
    """Frames are classified as they come."""


def check(look: str, trained: Region) -> None:
    """Check that a bundle can be used with a setting of `camera.look`.

    Raises:
        BundleError: if it cannot.
    """
    if look == LOOK_CHANGE and trained is Region.WHOLE:
        raise BundleError(
            'camera.look = "change", but the bundle was trained on whole pictures: set it to '
            '"auto", or train on photos of fixed places'
        )


class Stillness:
    """Whether a camera stands still, judged by how often it was moved."""

    def __init__(self) -> None:
        self._moves_s: deque[float] = deque(maxlen=MANY_MOVES)
        self._seen = Seen.LEARNING
        self.stands_still = True

    def note(self, seen: Seen, at_s: float) -> bool:
        """Take what the next frame showed; returns whether the camera stands still."""
        if self._seen is Seen.MOVED and seen is Seen.LEARNING:
            self._moves_s.append(at_s)
        self._seen = seen
        recent = sum(moved_s > at_s - STILL_S for moved_s in self._moves_s)
        if recent >= MANY_MOVES:
            self.stands_still = False
        elif not recent:
            self.stands_still = True
        return self.stands_still


@dataclass(frozen=True)
class _Place:
    """What a background belongs to."""

    rules: LookRules
    region: tuple[float, float, float, float]


class Looking:
    """Looks at the frames of one camera; usable from several threads."""

    def __init__(self) -> None:
        """Begin without a background."""
        self._lock = threading.Lock()
        self._place: _Place | None = None
        self._looker = Looker(LookRules())
        self._stillness = Stillness()
        self._last_ms = self._offset_ms = 0
        self._said = ""

    def forget(self) -> None:
        """The next frame is of another camera."""
        with self._lock:
            self._place = None

    def through(self, source: FrameSource, camera: Callable[[], CameraConfig]) -> Look:
        """The look at the frames of a source.

        Args:
            source: of the frames.
            camera: returns the settings; called for each frame.
        """
        return lambda frame, classifier: self._see(frame, classifier, source, camera())

    def _see(
        self, frame: Frame, classifier: Classifier, source: FrameSource, camera: CameraConfig
    ) -> Outcome | None:
        if why := _why_not(classifier.region, camera, source):
            self._say(why)
            return None
        assert frame.picture is not None
        box = pixels_of(camera.region, frame.picture.shape[1], frame.picture.shape[0])
        with self._lock:
            self._prepare(_Place(classifier.look, camera.region))
            left, upper, right, lower = box
            at_ms = self._at_ms(frame)
            found = self._looker.see(frame.picture[upper:lower, left:right], at_ms)
            still = self._stillness.note(found.seen, at_ms / 1000)
        if camera.look == LOOK_AUTO and not still:
            self._say(
                f"off: the camera was moved {MANY_MOVES} times within {STILL_S:.0f} s; whole "
                f"pictures are classified until it stands still for {STILL_S:.0f} s"
            )
            return None
        self._say_what_is_known(found.seen)
        return replace(found, boxes=tuple(_moved(box, left, upper) for box in found.boxes))

    def _prepare(self, place: _Place) -> None:
        if place != self._place:
            self._place, self._looker = place, Looker(place.rules)
            self._stillness = Stillness()

    def _at_ms(self, frame: Frame) -> int:
        """When a frame was taken, by a clock that never goes back, whatever its source."""
        now_ms = int(1000 * frame.captured_s)
        self._offset_ms = max(self._offset_ms, self._last_ms - now_ms)
        self._last_ms = now_ms + self._offset_ms
        return self._last_ms

    def _say_what_is_known(self, seen: Seen) -> None:
        if seen is Seen.LEARNING:
            self._say("learning what the camera shows when nothing is there")
        elif seen in (Seen.NOTHING, Seen.SOMETHING):
            self._say("on: the camera stands still, and its background is known")

    def _say(self, what: str) -> None:
        if what and what != self._said:
            log.info("look: %s", what)
        self._said = what


def _why_not(trained: Region, camera: CameraConfig, source: FrameSource) -> str:
    """Why frames are classified whole, before any is looked at; empty if they are looked at."""
    if camera.look == LOOK_WHOLE:
        return "off, as camera.look says"
    if trained is Region.WHOLE:
        return "off: the bundle was trained on whole pictures"
    if camera.look == LOOK_AUTO and not source.one_place:
        return "off: photos of a folder need not show one place"
    return ""


def pixels_of(region: tuple[float, float, float, float], width: int, height: int) -> Box:
    """A region of a frame in pixels, at least 1x1.

    Args:
        region: left, top, right, bottom in fractions of the frame.
        width: of the frame, pixels.
        height: of the frame, pixels.
    """
    left, top = int(region[0] * width), int(region[1] * height)
    right = max(left + 1, round(region[2] * width))
    return left, top, right, max(top + 1, round(region[3] * height))


def _moved(box: Box, x: int, y: int) -> Box:
    left, upper, right, lower = box
    return left + x, upper + y, right + x, lower + y
