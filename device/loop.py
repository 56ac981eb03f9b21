"""The frame loop: one thread captures and prepares, the other infers and publishes.

The preparing thread stays exactly one frame ahead. Decoding, preparing and inference all run
outside of Python's lock, so on two cores they overlap. Files lose no frame; of a live camera
`device.capture` hands over the newest.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from device.classifier import Classifier, Prediction
from device.preprocess import Box, Pixels, crop_box, prepare_box
from device.sources import Frame, FrameSource

POLL_S = 0.1
"""How long a blocked preparing thread takes to notice that nobody wants its frames any more."""
WHOLE: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True)
class Prepared:
    """A frame, and what the model is to see of it."""

    frame: Frame
    pixels: Pixels | None
    """uint8 (height_px, width_px, 3) for `classifier`; None if the frame has an error."""
    classifier: Classifier
    crop_box: Box
    prepare_s: float


@dataclass(frozen=True)
class Result:
    """One frame and what the model says of it; no prediction if the frame has an error."""

    number: int
    frame: Frame
    prediction: Prediction | None
    classifier: Classifier
    crop_box: Box = (0, 0, 0, 0)
    invoke_s: float = 0.0
    prepare_s: float = 0.0
    """To crop and resize."""
    copy_s: float = 0.0
    """Into the input tensor."""
    scores_s: float = 0.0
    """To read and dequantize the output."""

    @property
    def overhead_s(self) -> float:
        """Work on this frame besides capture and invoke."""
        return self.prepare_s + self.copy_s + self.scores_s


class Pace:
    """Lets at most so many frames a second pass; the limit may change at any time."""

    def __init__(self, max_fps: float = float("inf")) -> None:
        self.max_fps = max_fps
        self._last_s = float("-inf")

    def wait(self, stop: threading.Event) -> None:
        """Wait until the next frame may be taken."""
        while not stop.is_set():
            rest_s = self._last_s + 1 / self.max_fps - time.monotonic()
            if rest_s <= 0:
                break
            # In pieces: the limit may be raised meanwhile.
            stop.wait(min(rest_s, 0.25))
        self._last_s = time.monotonic()


class Preparer:
    """Takes frames of a source and prepares them, one ahead, on a thread of its own."""

    def __init__(
        self,
        source: FrameSource,
        classifier: Callable[[], Classifier],
        *,
        region: Callable[[], tuple[float, float, float, float]] = lambda: WHOLE,
        pace: Pace | None = None,
    ) -> None:
        """Start preparing.

        Args:
            source: where frames come from.
            classifier: the model of the moment, asked for before each frame.
            region: what part of the frame to classify, in fractions; asked for the same way.
            pace: limits the frame rate.
        """
        self._source = source
        self._classifier, self._region, self._pace = classifier, region, pace or Pace()
        self._ahead: queue.Queue[Prepared | BaseException | None] = queue.Queue(maxsize=1)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="prepare", daemon=True)
        self._thread.start()

    def take(self, timeout_s: float | None = None) -> Prepared | None:
        """The next prepared frame; None at the end of the source.

        Raises:
            queue.Empty: after the timeout.
            SourceError: if the source fails.
        """
        item = self._ahead.get(timeout=timeout_s)
        if isinstance(item, BaseException):
            raise item
        return item

    def close(self) -> None:
        """Stop; does not wait for a source that hangs."""
        self._stop.set()
        self._thread.join(timeout=2 * POLL_S)

    def _run(self) -> None:
        try:
            self._pace.wait(self._stop)
            for frame in self._source.frames():
                self._hand_over(self._prepare(frame))
                self._pace.wait(self._stop)
                if self._stop.is_set():
                    return
            self._hand_over(None)
        except Exception as error:
            # Raised again where frames are taken: here it would only end this thread.
            self._hand_over(error)

    def _prepare(self, frame: Frame) -> Prepared:
        classifier = self._classifier()
        if frame.picture is None:
            return Prepared(frame, None, classifier, (0, 0, 0, 0), 0.0)
        started_s = time.perf_counter()
        height, width = frame.picture.shape[:2]
        box = region_box(width, height, self._region(), classifier)
        pixels = prepare_box(frame.picture, box, classifier.preprocessing)
        return Prepared(frame, pixels, classifier, box, time.perf_counter() - started_s)

    def _hand_over(self, item: Prepared | BaseException | None) -> None:
        while not self._stop.is_set():
            with suppress(queue.Full):
                return self._ahead.put(item, timeout=POLL_S)


def region_box(
    width: int, height: int, region: tuple[float, float, float, float], classifier: Classifier
) -> Box:
    """The box that the model sees: the centred crop of a region of the frame.

    Args:
        width: of the frame, pixels.
        height: of the frame, pixels.
        region: left, top, right, bottom in fractions of the frame.
        classifier: whose input's aspect ratio the box gets.
    """
    left, top = int(region[0] * width), int(region[1] * height)
    right = max(left + 1, round(region[2] * width))
    bottom = max(top + 1, round(region[3] * height))
    inner = crop_box(right - left, bottom - top, classifier.preprocessing)
    return (left + inner[0], top + inner[1], left + inner[2], top + inner[3])


def infer(number: int, prepared: Prepared) -> Result:
    """Classify one prepared frame."""
    classifier = prepared.classifier
    if prepared.pixels is None:
        return Result(number, prepared.frame, None, classifier)
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
        prepared.crop_box,
        invoke_s=after_invoke_s - before_invoke_s,
        prepare_s=prepared.prepare_s,
        copy_s=before_invoke_s - started_s,
        scores_s=ended_s - after_invoke_s,
    )


def results(
    source: FrameSource, classifier: Classifier, limit: int | None = None
) -> Iterator[Result]:
    """Classify each frame of a source, at most `limit` of them.

    Raises:
        SourceError: when the source fails; results before that have been yielded.
    """
    preparer = Preparer(source, lambda: classifier)
    try:
        number = 0
        while (limit is None or number < limit) and (prepared := preparer.take()) is not None:
            yield infer(number, prepared)
            number += 1
    finally:
        preparer.close()
