"""The frame loop: one thread captures and prepares, the other infers and publishes.

Files lose no frame: the capture thread stays exactly one prepared frame ahead. Decoding and
inference both run outside of Python's lock, so on two cores they overlap.
"""

import queue
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from device.classifier import Classifier, Prediction
from device.sources import Frame, FrameSource

_END = object()
POLL_S = 0.1
"""How long a blocked capture thread takes to notice that nobody wants its frames any more."""


@dataclass(frozen=True)
class Result:
    """One frame and what the model says of it; no prediction if the frame has an error."""

    number: int
    frame: Frame
    prediction: Prediction | None
    invoke_s: float = 0.0
    overhead_s: float = 0.0
    """Time on this frame besides invoke: read, decode, prepare, copy in, dequantize."""


def results(
    source: FrameSource, classifier: Classifier, limit: int | None = None
) -> Iterator[Result]:
    """Classify each frame of a source, at most `limit` of them.

    Raises:
        SourceError: when the source fails; results before that have been yielded.
    """
    frames: queue.Queue[Frame | BaseException | object] = queue.Queue(maxsize=1)
    stop = threading.Event()
    capture = threading.Thread(
        target=_capture, args=(source, frames, stop), name="capture", daemon=True
    )
    capture.start()
    try:
        number = 0
        while (limit is None or number < limit) and (item := frames.get()) is not _END:
            if isinstance(item, BaseException):
                raise item
            assert isinstance(item, Frame)
            yield _infer(number, item, classifier)
            number += 1
    finally:
        stop.set()
        capture.join(timeout=5)


def _infer(number: int, frame: Frame, classifier: Classifier) -> Result:
    if frame.pixels is None:
        return Result(number, frame, None, overhead_s=frame.prepare_s)
    started = time.perf_counter()
    classifier.set_input(frame.pixels)
    before_invoke = time.perf_counter()
    classifier.invoke()
    after_invoke = time.perf_counter()
    prediction = classifier.prediction()
    ended = time.perf_counter()
    invoke_s = after_invoke - before_invoke
    overhead_s = frame.prepare_s + (ended - started) - invoke_s
    return Result(number, frame, prediction, invoke_s, overhead_s)


def _capture(
    source: FrameSource,
    frames: "queue.Queue[Frame | BaseException | object]",
    stop: threading.Event,
) -> None:
    def hand_over(item: Frame | BaseException | object) -> None:
        while not stop.is_set():
            with suppress(queue.Full):
                return frames.put(item, timeout=POLL_S)

    try:
        for frame in source.frames():
            hand_over(frame)
            if stop.is_set():
                return
        hand_over(_END)
    except Exception as error:
        # Raised again in the inference thread: an exception here would only end this thread.
        hand_over(error)
