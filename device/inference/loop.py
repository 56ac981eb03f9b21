"""The frame loop: get a frame, prepare it, infer, publish; ahead or in turn.

Ahead: a separate thread prepares the next frame while the model runs. Decoding, preparing and
inference all release Python's lock, so on two cores they can overlap. In turn, where that is faster
(`device.inference.threads`): the thread that runs the model prepares its frames itself. It then
also asks a live camera for them itself, because handing each one over takes a tenth of a
millisecond. Frames of a file still come from the other thread, because a disk may hang.

No frame of a file is skipped. A live camera gives only its newest frame (`device.camera.live`), and
is asked only when the model is free or about to be: a frame that waits for a slow model gets old.
"""

import queue
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Final

from device.camera.frame import Frame, FrameSource, Polled
from device.contract.arrays import Box, Pixels
from device.contract.look.rules import Outcome, Seen
from device.contract.preprocess import FrameResizer, crop_box
from device.inference.classifier import Classifier, Prediction
from device.inference.looking import Look, no_look, pixels_of
from device.inference.pace import POLL_S, Pace

CLOSE_S = 0.2
"""How long closing waits for the preparing thread."""
MIN_LEAD_S = 0.001
"""How early to start preparing a live frame: this, or 1.5 times the last preparation if longer."""
CHECK_S = 10.0
"""While nothing is there, the model still runs this often: it proves that it works."""
WHOLE: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True)
class Prepared:
    """A frame, and the part of it that the model will see."""

    frame: Frame
    pixels: Pixels | None
    """uint8 (height_px, width_px, 3) for `classifier`; None if the frame has an error, or shows
    nothing to classify."""
    classifier: Classifier
    crop_box: Box
    prepare_s: float
    outcome: Outcome | None = None
    """What a look at the frame showed; None if it was not looked at."""


@dataclass(frozen=True)
class Result:
    """One frame and the model's prediction for it; none if it has an error, or was not needed."""

    number: int
    frame: Frame
    prediction: Prediction | None
    classifier: Classifier
    outcome: Outcome | None = None
    """What a look at the frame showed; None if it was not looked at."""
    crop_box: Box = (0, 0, 0, 0)
    invoke_s: float = 0.0
    prepare_s: float = 0.0
    """To look, crop and resize."""
    copy_s: float = 0.0
    """Into the input tensor."""
    scores_s: float = 0.0
    """To read and dequantize the output."""

    @property
    def is_answered(self) -> bool:
        """Whether the prediction is an answer about this frame, and not only a check."""
        return self.prediction is not None and _needs_model(self.outcome)

    @property
    def overhead_s(self) -> float:
        """Work on this frame other than capture and invoke."""
        return self.prepare_s + self.copy_s + self.scores_s


class _Nothing:
    """No frame yet; None would mean the end of the source."""


NOTHING: Final = _Nothing()


Item = Prepared | Frame | BaseException | _Nothing | None
"""What one thread hands to the other; None is the end of the source."""


class Preparer:
    """Gets a source's frames and prepares them, on its own thread or on the one that takes them.

    Only one thread at a time asks the source, and frames keep their order even if `ahead` changes:
    a frame that the own thread has begun comes first.
    """

    def __init__(
        self,
        source: FrameSource,
        classifier: Callable[[], Classifier],
        *,
        region: Callable[[], tuple[float, float, float, float]] = lambda: WHOLE,
        look: Look = no_look,
        pace: Pace | None = None,
        ahead: Callable[[], bool] = lambda: True,
    ) -> None:
        """Start preparing.

        Args:
            source: where frames come from.
            classifier: returns the current model; called before each frame.
            region: returns the part of the frame to classify, in fractions; called likewise.
            look: looks at each frame before it is cropped.
            pace: limits the frame rate.
            ahead: whether frames are prepared on the own thread while the model is busy. If not,
                they are prepared when taken, and a `Polled` source is asked only then. Called
                likewise.
        """
        self._source = source
        self._polled = source if isinstance(source, Polled) else None
        self._classifier, self._region, self._pace = classifier, region, pace or Pace()
        self._works_ahead, self._look = ahead, look
        self._classified_s = float("-inf")
        self._turn = threading.Condition()
        self._ahead: Item = NOTHING
        # About the model: whether it waits for a frame, when it took its last one, and how long it
        # was busy with the two before.
        self._idle, self._taken_s, self._busy_s = True, 0.0, (0.0, 0.0)
        self._prepare_s = 0.0
        # One per thread: right after a change of `ahead` both may be preparing a frame.
        self._own_resizer, self._taker_s_resizer = FrameResizer(), FrameResizer()
        # Whether the current or last take polls the source itself.
        self._in_turn = self._polled is not None and not ahead()
        # Whether a thread is asking the source; for the own thread, until it has handed over.
        self._fetching = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="prepare", daemon=True)
        self._thread.start()

    def take(self, timeout_s: float | None = None) -> Prepared | None:
        """The next prepared frame; None at the end of the source. Call it from one thread only.

        Raises:
            queue.Empty: after the timeout.
            SourceError: if the source fails.
        """
        if self._polled is not None and not self._works_ahead():
            item = self._pending_or_polled(self._polled, timeout_s)
        else:
            item = self._wait_for_handover(timeout_s)
        if isinstance(item, BaseException):
            raise item
        assert not isinstance(item, _Nothing)
        return self._prepare(item, self._taker_s_resizer) if isinstance(item, Frame) else item

    def _wait_for_handover(self, timeout_s: float | None) -> Item:
        """Wait for what the own thread hands over."""
        with self._turn:
            if not self._idle:
                self._busy_s = (self._busy_s[1], time.monotonic() - self._taken_s)
            self._idle, self._in_turn = True, False
            self._turn.notify_all()
            if not self._turn.wait_for(lambda: self._ahead is not NOTHING, timeout_s):
                raise queue.Empty
            item, self._ahead = self._ahead, NOTHING
            self._idle, self._taken_s = False, time.monotonic()
            self._turn.notify_all()
        return item

    def _pending_or_polled(self, source: Polled, timeout_s: float | None) -> Item:
        """What the own thread had begun before `ahead` changed; if nothing, the next frame."""
        until_s = float("inf") if timeout_s is None else time.monotonic() + timeout_s
        with self._turn:
            # Idle: the time until `ahead` changes again must not count as busy.
            self._idle = self._in_turn = True
            done = self._turn.wait_for(
                lambda: self._ahead is not NOTHING or not self._fetching, timeout_s
            )
            if not done:
                raise queue.Empty
            if self._ahead is not NOTHING:
                item, self._ahead = self._ahead, NOTHING
                return item
            self._fetching = True
        try:
            return self._poll(source, until_s)
        finally:
            # Nobody is told: while frames are taken in turn, the own thread rests, and waking it
            # for each frame would cost two changes of context.
            with self._turn:
                self._fetching = False

    def _poll(self, source: Polled, until_s: float) -> Frame | None:
        while self._pace.wait(self._stop, until_s):
            frame = source.poll(min(max(0.0, until_s - time.monotonic()), POLL_S))
            if frame is not None:
                self._pace.taken()
                if not frame.is_passed_over:
                    return frame
            elif source.ended:
                return None
            if time.monotonic() >= until_s:
                break
        raise queue.Empty

    def close(self) -> None:
        """Stop; does not wait for a source that hangs."""
        with self._turn:
            self._stop.set()
            self._turn.notify_all()
        self._thread.join(timeout=CLOSE_S)

    def _run(self) -> None:
        try:
            frames = iter(self._source.frames())
            while not self._stop.is_set():
                ahead = self._polled is not None or self._works_ahead()
                if not self._wait_for_turn(ahead):
                    continue
                frame = next(frames, None)
                self._pace.taken()
                if frame is None:
                    self._hand_over(None)
                    return
                self._hand_over(self._item(frame, ahead))
        except Exception as error:
            # Raised again in `take`: here it would only end this thread.
            self._hand_over(error)

    def _wait_for_turn(self, ahead: bool) -> bool:
        """Wait until the own thread should get the next frame; false if it should not after all."""
        with self._turn:
            self._turn.wait_for(lambda: self._stop.is_set() or not self._in_turn)
        if not self._pace.wait(self._stop):
            return False
        with self._turn:
            while not self._stop.is_set() and (rest_s := self._lead_left_s(ahead)) > 0:
                self._turn.wait(rest_s)
            self._fetching = not self._stop.is_set() and not self._in_turn
            return self._fetching

    def _item(self, frame: Frame, ahead: bool) -> Item:
        if frame.is_passed_over:
            return NOTHING
        return self._prepare(frame, self._own_resizer) if ahead else frame

    def _lead_left_s(self, ahead: bool) -> float:
        """How long to wait before getting a frame, judging by how long the model was busy."""
        if self._fetching:
            return threading.TIMEOUT_MAX
        if ahead and not self._source.live:
            return 0.0
        if self._ahead is not NOTHING:
            return threading.TIMEOUT_MAX
        if self._idle:
            return 0.0
        if not self._source.live:
            # In turn: getting a file's frame means decoding it.
            return threading.TIMEOUT_MAX
        # The shorter of the two: too late costs frames, too early only makes this frame older.
        free_s = self._taken_s + min(self._busy_s)
        early_s = max(MIN_LEAD_S, 1.5 * self._prepare_s) if ahead else MIN_LEAD_S
        return free_s - time.monotonic() - early_s

    def _prepare(self, frame: Frame, resizer: FrameResizer) -> Prepared:
        classifier = self._classifier()
        if frame.picture is None:
            return Prepared(frame, None, classifier, (0, 0, 0, 0), 0.0)
        started_s = time.perf_counter()
        outcome = self._look(frame, classifier)
        height, width = frame.picture.shape[:2]
        box = region_box(width, height, self._region(), classifier)
        if outcome is not None and outcome.boxes:
            box = outcome.boxes[0]
        pixels = None
        if self._is_to_classify(outcome):
            pixels = resizer.prepare_box(frame.picture, box, classifier.preprocessing)
        self._prepare_s = time.perf_counter() - started_s
        return Prepared(frame, pixels, classifier, box, self._prepare_s, outcome)

    def _is_to_classify(self, outcome: Outcome | None) -> bool:
        """Whether the model is needed, or has not been for long."""
        now_s = time.monotonic()
        if not _needs_model(outcome) and now_s - self._classified_s < CHECK_S:
            return False
        self._classified_s = now_s
        return True

    def _hand_over(self, item: Item) -> None:
        with self._turn:
            self._turn.wait_for(lambda: self._ahead is NOTHING or self._stop.is_set())
            self._ahead, self._fetching = item, False
            self._turn.notify_all()


def _needs_model(outcome: Outcome | None) -> bool:
    """Whether what was seen must be classified."""
    return outcome is None or outcome.seen in (Seen.LEARNING, Seen.SOMETHING)


def region_box(
    width: int, height: int, region: tuple[float, float, float, float], classifier: Classifier
) -> Box:
    """The box that the model sees: the centred crop of a region of the frame.

    Args:
        width: of the frame, pixels.
        height: of the frame, pixels.
        region: left, top, right, bottom in fractions of the frame.
        classifier: the box gets the aspect ratio of its input.
    """
    left, top, right, bottom = pixels_of(region, width, height)
    inner = crop_box(right - left, bottom - top, classifier.preprocessing)
    return (left + inner[0], top + inner[1], left + inner[2], top + inner[3])


def infer(number: int, prepared: Prepared) -> Result:
    """Classify one prepared frame."""
    classifier = prepared.classifier
    if prepared.pixels is None:
        return Result(
            number,
            prepared.frame,
            None,
            classifier,
            prepared.outcome,
            prepared.crop_box,
            prepare_s=prepared.prepare_s,
        )
    started_s = time.perf_counter()
    classifier.set_input(prepared.pixels)
    before_invoke_s = time.perf_counter()
    classifier.invoke()
    after_invoke_s = time.perf_counter()
    prediction = classifier.prediction()
    ended_s = time.perf_counter()
    return Result(
        number,
        prepared.frame,
        prediction,
        classifier,
        prepared.outcome,
        prepared.crop_box,
        invoke_s=after_invoke_s - before_invoke_s,
        prepare_s=prepared.prepare_s,
        copy_s=before_invoke_s - started_s,
        scores_s=ended_s - after_invoke_s,
    )


def results(
    source: FrameSource, classifier: Classifier, limit: int | None = None, *, ahead: bool = True
) -> Generator[Result, None, None]:
    """Classify each frame of a source, at most `limit` of them.

    Args:
        ahead: whether the next frame is prepared while the model runs.

    Raises:
        SourceError: when the source fails; results before that have been yielded.
    """
    preparer = Preparer(source, lambda: classifier, ahead=lambda: ahead)
    try:
        number = 0
        while (limit is None or number < limit) and (prepared := preparer.take()) is not None:
            yield infer(number, prepared)
            number += 1
    finally:
        preparer.close()
