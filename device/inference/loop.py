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
from typing import Final

from device.camera.frame import Frame, FrameSource, Polled
from device.contract.arrays import Box, Pixels
from device.contract.look.rules import Outcome
from device.contract.preprocess import FrameResizer
from device.inference.classifier import Classifier
from device.inference.looking import Look, no_look
from device.inference.pace import POLL_S, Pace
from device.inference.prepared import Prepared, Result, infer, needs_model, region_box

CLOSE_S = 0.2
"""How long closing waits for the preparing thread."""
MIN_LEAD_S = 0.001
"""How early to start preparing a live frame: this, or 1.5 times the last preparation if longer."""
CHECK_S = 10.0
"""While nothing is there, the model still runs this often: it proves that it works."""
WHOLE: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)


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
        if frame.size_px is None:
            return Prepared(frame, None, classifier, (0, 0, 0, 0), 0.0)
        started_s = time.perf_counter()
        outcome = self._look(frame, classifier)
        look_s = time.perf_counter() - started_s
        whole = region_box(*frame.size_px, self._region(), classifier)
        box, *others = (outcome and outcome.boxes) or (whole,)
        pixels, made, rules = None, list[tuple[Box, Pixels]](), classifier.preprocessing
        if self._is_to_classify(outcome) and (picture := frame.picture) is not None:
            pixels = resizer.prepare_box(picture, box, rules)
            made = [(other, resizer.prepare_box(picture, other, rules)) for other in others]
        self._prepare_s = time.perf_counter() - started_s
        return Prepared(
            frame, pixels, classifier, box, self._prepare_s, outcome, look_s, tuple(made)
        )

    def _is_to_classify(self, outcome: Outcome | None) -> bool:
        """Whether the model is needed, or has not been for long."""
        now_s = time.monotonic()
        if not needs_model(outcome) and now_s - self._classified_s < CHECK_S:
            return False
        self._classified_s = now_s
        return True

    def _hand_over(self, item: Item) -> None:
        with self._turn:
            self._turn.wait_for(lambda: self._ahead is NOTHING or self._stop.is_set())
            self._ahead, self._fetching = item, False
            self._turn.notify_all()


def results(
    source: FrameSource,
    classifier: Classifier,
    limit: int | None = None,
    *,
    ahead: bool = True,
    look: Look = no_look,
) -> Generator[Result, None, None]:
    """Classify each frame of a source, at most `limit` of them.

    Args:
        source: of the frames.
        classifier: of the model.
        limit: how many; all if not given.
        ahead: whether the next frame is prepared while the model runs.
        look: looks at each frame before it is cropped.

    Raises:
        SourceError: when the source fails; results before that have been yielded.
    """
    preparer = Preparer(source, lambda: classifier, look=look, ahead=lambda: ahead)
    try:
        number = 0
        while (limit is None or number < limit) and (prepared := preparer.take()) is not None:
            yield infer(number, prepared)
            number += 1
    finally:
        preparer.close()
