"""The time of each stage of the real frame loop, in microseconds."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from device.camera.frame import FrameSource
from device.errors import SourceError
from device.inference.classifier import Classifier
from device.inference.looking import no_look
from device.inference.loop import results
from device.inference.prepared import Result
from device.inference.smoothing import Smoothed, step
from device.inference.threads import FRAME_PX, Way, look_for
from device.settings.sections import LOOK_AUTO, SmoothingConfig

WARM_UP_FRAMES = 5
LOOK = "look"
"""The stage that only bundles have which were trained on boxes."""
STAGES = {
    "decode": ("capture", "read the file, decode to RGB"),
    LOOK: ("capture", "find what differs from the background"),
    "prepare": ("capture", "crop and resize"),
    "copy": ("inference", "into the input tensor"),
    "invoke": ("inference", "the model itself"),
    "scores": ("inference", "read and dequantize the output"),
    "smooth": ("inference", "smoothing, hysteresis, top"),
}


@dataclass(frozen=True)
class Stage:
    """One row of the table; microseconds."""

    name: str
    thread: str
    what: str
    p50_us: float
    p95_us: float
    share: float
    """Of all work on a frame, 0..1."""


def measure(
    source: FrameSource, classifier: Classifier, frames: int, *, ahead: bool
) -> list[Stage]:
    """Classify frames and time every stage of each.

    Args:
        source: of the frames.
        classifier: of the model.
        frames: how many of them.
        ahead: whether the next frame is prepared while the model runs.

    Raises:
        SourceError: if the source gives no usable frame.
    """
    look, count = look_for(classifier, LOOK_AUTO, FRAME_PX), frames + WARM_UP_FRAMES
    loop = results(source, classifier, count, ahead=ahead, look=look)
    times = np.array([*_timed(loop, looks=look is not no_look)][WARM_UP_FRAMES:])
    if not len(times):
        raise SourceError("not one photo could be used")
    p50, p95 = np.percentile(times, (50, 95), axis=0) * 1e6
    shares = times.mean(axis=0) / times.mean(axis=0).sum()
    rows = zip(STAGES.items(), p50, p95, shares, strict=True)
    return [
        Stage(name, *about, *map(float, figures))
        for (name, about), *figures in rows
        if name != LOOK or look is not no_look
    ]


def table(stages: list[Stage], way: Way) -> str:
    """The stages as text, in order, with bars."""
    lines = [f"{'stage':8} {'thread':10} {'p50 us':>8} {'p95 us':>8} {'share':>6}"]
    for s in stages:
        bar = "#" * round(30 * s.share)
        lines.append(
            f"{s.name:8} {s.thread:10} {s.p50_us:8.0f} {s.p95_us:8.0f} {s.share:6.1%} "
            f"{bar:30} {s.what}"
        )
    total = sum(s.p50_us for s in stages)
    invoke = next(s.p50_us for s in stages if s.name == "invoke")
    rest = total - invoke - stages[0].p50_us
    about = f"{rest:.0f} us of it other than decode and invoke; "
    about += "the two threads overlap" if way.ahead else "one thread waits for the other"
    lines.append(f"{'sum':8} {'':10} {total:8.0f} {about}")
    return "\n".join(lines)


def _timed(loop: Iterator[Result], *, looks: bool) -> Iterator[npt.NDArray[np.float64]]:
    state: Smoothed | None = None
    for result in loop:
        if result.prediction is None:
            continue
        look_s = result.look_s if looks else 0.0
        started_s = time.perf_counter()
        state = _smooth(state, result)
        ended_s = time.perf_counter()
        yield np.array(
            [
                result.frame.decode_s,
                look_s,
                result.prepare_s - look_s,
                result.copy_s,
                result.invoke_s,
                result.scores_s,
                ended_s - started_s,
            ]
        )


def _smooth(before: Smoothed | None, result: Result) -> Smoothed:
    assert result.prediction is not None
    state = step(before, result.prediction, result.frame.captured_s, SmoothingConfig())
    state.top(result.classifier.labels, 3)
    return state
