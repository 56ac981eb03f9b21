"""Looking before classifying: whether to look at a camera's frames at all, and what that shows.

What is known of a place outlives models, sources and, in a file, the service itself.
"""

import logging
import math
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from device.camera.frame import Frame, FrameSource
from device.contract import mask
from device.contract.arrays import Box, Pixels
from device.contract.look.cells import Sampled
from device.contract.look.change import SMOOTHED, Background
from device.contract.look.looker import Looker
from device.contract.look.rules import LookRules, Outcome, Region, Seen
from device.errors import BackgroundError, BundleError
from device.inference import kept
from device.inference.classifier import Classifier
from device.inference.kept import Place
from device.settings.region import region_pixels
from device.settings.sections import LOOK_AUTO, LOOK_CHANGE, LOOK_WHOLE, CameraConfig

log = logging.getLogger("fieldguide")

LESSON_S = 120.0
"""Over about this time it is judged whether a camera stands still."""
RESTLESS, RESTFUL = 1 / 3, 0.1
"""A camera whose background is unknown for more than the first share of the time does not stand
still, until that falls to the second."""
LONGEST_GAP_S = 5.0
"""A frame says nothing about more time than this."""
RESTLESS_SPREAD = 64 * SMOOTHED
"""A cell that differs from the background by more than this, as a rule, does not show one thing."""
RESTLESS_CELLS = 0.5
"""With more of such cells a background was learned while the camera was moved. The shares were up
to 0.30 in rendered weather with visitors, and 0.64 to 1 of a camera that was carried or shaken."""
SAY_AGAIN_S = 600.0

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


def may_look(look: str, trained: Region) -> bool:
    """Whether frames of a camera are looked at, if it stands still."""
    return look != LOOK_WHOLE and trained is Region.CHANGE


class Stillness:
    """Whether a camera stands still: how much of the time its background is known."""

    def __init__(self) -> None:
        """Begin with a camera that stands still."""
        self._unknown = 0.0
        self._at_s: float | None = None
        self.stands_still = True

    def note(self, seen: Seen, at_s: float) -> bool:
        """Take what the next frame showed; returns whether the camera stands still.

        Args:
            seen: by the look at it.
            at_s: when it was taken, by any clock that does not go backwards.
        """
        gap_s = 0.0 if self._at_s is None else min(at_s - self._at_s, LONGEST_GAP_S)
        self._at_s = at_s
        is_unknown = seen in (Seen.LEARNING, Seen.MOVED)
        self._unknown += (1 - math.exp(-gap_s / LESSON_S)) * (is_unknown - self._unknown)
        limit = RESTLESS if self.stands_still else RESTFUL
        self.stands_still = self._unknown <= limit
        return self.stands_still


class Looking:
    """Looks at the frames of one camera; usable from several threads."""

    def __init__(self, kept_in: Path | None = None) -> None:
        """Begin with a background that was kept, if it is of the same place.

        Args:
            kept_in: the file; it is read with the first frame, whose size must fit.
        """
        self._lock = threading.Lock()
        self._kept_in = kept_in
        self._looker: Looker | None = None
        self._rules: LookRules | None = None
        self._place: Place | None = None
        self._made_for: tuple[object, ...] = ()
        self._mask: Image.Image | None = None
        self._stillness = Stillness()
        self._last_ms = self._offset_ms = 0
        self._said, self._said_moved_s = "", -math.inf

    def forget(self) -> None:
        """The next frame is of another camera."""
        with self._lock:
            self._looker, self._kept_in, self._made_for = None, None, ()
            self._stillness = Stillness()

    def use_mask(self, picture: Image.Image | None) -> None:
        """Look only in allowed places from the next frame on; what is known stays.

        Args:
            picture: from `device.contract.mask`; None: look everywhere.
        """
        with self._lock:
            self._mask = picture

    @property
    def known(self) -> tuple[Place, tuple[Background, ...]] | None:
        """All backgrounds, the one in use first, and what they belong to; None while none is."""
        with self._lock:
            backgrounds = _backgrounds(self._looker)
            return (self._place, backgrounds) if self._place and backgrounds else None

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
        (left, upper, right, lower), part = _part(frame, camera)
        with self._lock:
            looker = self._looker_for(classifier.look, camera, (right - left, lower - upper))
            at_ms = self._at_ms(frame)
            found = looker.see(part, at_ms)
            self._judge(found.seen, looker, camera)
            still = self._stillness.note(found.seen, at_ms / 1000)
        if camera.look == LOOK_AUTO and not still:
            self._say(
                "off: the camera is moved so often that its background is hardly ever known; "
                "whole pictures are classified until it stands still"
            )
            return None
        self._say_what_is_known(found.seen, at_ms / 1000)
        return replace(found, boxes=tuple(_shifted(box, left, upper) for box in found.boxes))

    def _looker_for(
        self, rules: LookRules, camera: CameraConfig, size_px: tuple[int, int]
    ) -> Looker:
        """The one that knows this place; a new one if settings, rules or the size have changed."""
        made_for = (rules, camera, size_px, self._mask)
        if self._looker and all(map(_is, made_for, self._made_for)):
            return self._looker
        self._made_for = made_for
        rules = replace(rules, absorb_s=camera.absorb_s, most_boxes=camera.most_subjects)
        place = Place.of(rules, camera.region, size_px)
        if self._looker is None or (rules, place) != (self._rules, self._place):
            known = self._backgrounds_of(place)
            self._looker = Looker(rules, known[0] if known else None, known[1:])
            self._rules, self._place = rules, place
        picture = self._mask
        self._looker.look_only(mask.allowed(picture, camera.region) if picture else None)
        return self._looker

    def _judge(self, seen: Seen, looker: Looker, camera: CameraConfig) -> None:
        """Learn again where a background has just been learned that is none."""
        background = looker.background
        if camera.look != LOOK_AUTO or seen is not Seen.LEARNING or background is None:
            return
        if np.mean(background.spread > RESTLESS_SPREAD) > RESTLESS_CELLS:
            self._looker = None

    def _backgrounds_of(self, place: Place) -> tuple[Background, ...]:
        """What is known of a place already, the background in use first."""
        kept_in, self._kept_in = self._kept_in, None
        if self._looker is not None:
            return _backgrounds(self._looker) if place == self._place else ()
        if kept_in is None:
            return ()
        try:
            found = kept.read(kept_in, place)
        except FileNotFoundError:
            return ()
        except BackgroundError as error:
            log.warning("look: the background is learned again: %s", error)
            return ()
        log.info("look: the background is known from before")
        return found

    def _at_ms(self, frame: Frame) -> int:
        """When a frame was taken, by a clock that never goes back, whatever its source."""
        at_s = frame.moment_s
        self._offset_ms = max(self._offset_ms, self._last_ms - int(1000 * at_s))
        self._last_ms = int(1000 * at_s) + self._offset_ms
        return self._last_ms

    def _say_what_is_known(self, seen: Seen, at_s: float) -> None:
        if seen is Seen.LEARNING and not self._said.startswith("on"):
            self._say("learning what the camera shows when nothing is there")
        elif seen in (Seen.NOTHING, Seen.SOMETHING):
            self._say("on: the camera stands still, and its background is known")
        elif seen is Seen.MOVED and at_s >= self._said_moved_s + SAY_AGAIN_S:
            self._said_moved_s = at_s
            log.info("look: the camera was moved; if it stays so, its background is learned again")

    def _say(self, what: str) -> None:
        if what != self._said:
            log.info("look: %s", what)
        self._said = what


def _part(frame: Frame, camera: CameraConfig) -> tuple[Box, Pixels | Sampled]:
    """Where to look, in pixels of a frame that has a picture, and what is there."""
    assert frame.given is not None
    height, width = frame.given.shape[:2]
    box = left, upper, right, lower = region_pixels(camera.region, width, height)
    if box == (0, 0, width, height):
        return box, frame.given
    assert frame.picture is not None
    return box, frame.picture[upper:lower, left:right]


def _backgrounds(looker: Looker | None) -> tuple[Background, ...]:
    """The one in use and those before it; none while it is learned."""
    if looker is None or looker.background is None:
        return ()
    return (looker.background, *looker.others)


def _why_not(trained: Region, camera: CameraConfig, source: FrameSource) -> str:
    """Why frames are classified whole, before any is looked at; empty if they are looked at."""
    if camera.look == LOOK_WHOLE:
        return 'off: camera.look is "whole"'
    if not may_look(camera.look, trained):
        return "off: the bundle was trained on whole pictures"
    if camera.look == LOOK_AUTO and not source.one_place:
        return "off: photos of a folder need not show one place"
    return ""


def _is(one: object, other: object) -> bool:
    """Equal, without comparing rules and settings field by field for each frame."""
    return one is other or (isinstance(one, tuple) and one == other)


def _shifted(box: Box, x: int, y: int) -> Box:
    left, upper, right, lower = box
    return left + x, upper + y, right + x, lower + y
