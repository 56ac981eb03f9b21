"""How many threads the model gets, and whether the next frame is prepared while it runs.

On few cores the two belong together: a preparing thread and the runtime's own threads may compete
for cores, and then doing one after the other is faster. Only measuring tells, so each way is timed
on the real frame loop, with pictures like those that the settings will give.
"""

import io
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import product

import numpy as np
from PIL import Image

from device.camera.frame import Frame, FrameSource, Polled
from device.camera.source import is_camera
from device.contract.arrays import Pixels
from device.contract.look import place
from device.contract.look.cells import Grid
from device.contract.look.looker import Looker
from device.contract.look.rules import LookRules
from device.contract.photos import decode, pixels
from device.contract.preprocess import Preprocessing
from device.inference.classifier import Classifier
from device.inference.looking import Look, may_look, no_look
from device.inference.loop import results
from device.settings.address import AUTO, PICAMERA2, is_device
from device.settings.sections import LOOK_WHOLE, Config

MOST_THREADS = 4
FRAME_PX = (640, 480)
"""Width and height to assume where nothing is known about the frames."""
JPEG_QUALITY = 90
HEADROOM = 2.0
"""A loop this many times faster than the frame rate is fast enough, with room for other work
and heat."""
NOISE_FACTOR = 1.02
"""Differences below this factor are measurement noise."""
CONTENDER_FACTOR = 1.5
"""A way that took this many times longer than the fastest is not measured again."""
WARM_UP_FRAMES = 2
BURST_FRAMES = 5
BURST_S = 0.1
"""Each measurement covers at least this many frames, and at least this time."""
LONG_BURST_S = 1.0
"""After this time two frames are enough."""
BUDGET_S = 2.0
"""Nothing is measured again after this time."""
LIMIT_S = 10.0
"""Nothing new is measured after this time: an emulated board takes seconds per frame."""
MAX_ROUNDS = 9


@dataclass(frozen=True)
class Workload:
    """The work that the loop must keep up with."""

    max_fps: float = 30.0
    """Most frames per second."""
    size_px: tuple[int, int] = FRAME_PX
    """Width and height of what is cropped and resized."""
    encoded: bool = True
    """Whether the loop decodes each picture itself; for a live camera another thread does."""
    look: str = LOOK_WHOLE
    """`camera.look`: whether frames are looked at first, if the bundle was trained for it."""

    @property
    def enough_s(self) -> float:
        """Time from one frame to the next below which more speed has no benefit."""
        return 1 / self.max_fps / HEADROOM


@dataclass(frozen=True, order=True)
class Way:
    """One way to run the loop; a smaller one (in sort order) costs less."""

    threads: int
    """Threads of the runtime."""
    ahead: bool
    """Whether the next frame is prepared while the model runs, or after it, in turn."""


@dataclass(frozen=True)
class Timing:
    """How fast one way is, in seconds."""

    way: Way
    frame_s: float
    """From one frame to the next, when they come as fast as they are taken."""
    invoke_s: float


DEFAULT_WORKLOAD = Workload()


def workload_of(config: Config) -> Workload:
    """The work that these settings give the service."""
    camera, max_fps = config.camera, config.inference.max_fps
    if not is_camera(camera.source):
        return Workload(max_fps, look=camera.look)
    size_px = FRAME_PX
    if camera.source in (AUTO, PICAMERA2) or is_device(camera.source):
        # These cameras can be asked for a size and rate; streams come as they are.
        size_px, max_fps = (camera.width_px, camera.height_px), min(max_fps, camera.fps)
    left, top, right, bottom = camera.region
    width, height = round((right - left) * size_px[0]), round((bottom - top) * size_px[1])
    return Workload(max_fps, (max(1, width), max(1, height)), False, camera.look)


def ways(numbers: Sequence[int]) -> list[Way]:
    """Every way with one of these numbers of threads, the cheapest first."""
    return [Way(threads, ahead) for threads, ahead in product(sorted(numbers), (False, True))]


def choose(timings: Sequence[Timing], enough_s: float) -> Timing:
    """The cheapest way that is fast enough; if none is, the fastest.

    Args:
        timings: of at least one way.
        enough_s: from one frame to the next, when more speed would bring nothing.
    """
    fastest_s = min(timing.frame_s for timing in timings)
    limit_s = enough_s if fastest_s <= enough_s else NOISE_FACTOR * fastest_s
    return min((t for t in timings if t.frame_s <= limit_s), key=lambda timing: timing.way)


def compare(
    candidates: Sequence[Way], measure: Callable[[Way], Timing], enough_s: float
) -> list[Timing]:
    """Measure the ways in turn and keep each one's best time: other work can only slow them down.

    Stops at the first way that is fast enough: the ones after it cost more.

    Args:
        candidates: the cheapest first.
        measure: times one way once.
        enough_s: as in `choose`.
    """
    started_s = time.monotonic()
    best: dict[Way, Timing] = {}
    for _ in range(MAX_ROUNDS):
        for way in _contenders(candidates, best):
            limit_s = BUDGET_S if way in best else LIMIT_S
            if best and time.monotonic() - started_s > limit_s:
                return [*best.values()]
            found = measure(way)
            best[way] = min(found, best.get(way, found), key=lambda timing: timing.frame_s)
            if found.frame_s <= enough_s:
                return [*best.values()]
    return [*best.values()]


def measure_best(
    classifier: Callable[[int], Classifier],
    numbers: Sequence[int],
    wanted: Workload,
    example: Pixels,
) -> Timing:
    """Find the best way to run the loop.

    Takes about two seconds, on slow boards seven frames per way; ends at once when a cheap way is
    fast enough.

    Args:
        classifier: makes one with the given number of threads.
        numbers: of threads to try.
        wanted: the work to keep up with.
        example: any picture, prepared for the model.
    """
    made: dict[int, Classifier] = {}
    jpeg = camera_jpeg(example, np.random.default_rng(0)) if wanted.encoded else b""
    first = made[numbers[0]] = classifier(numbers[0])
    look = look_for(first, wanted.look, wanted.size_px)

    def measure(way: Way) -> Timing:
        if way.threads not in made:
            made[way.threads] = classifier(way.threads)
        chosen = made[way.threads]
        source = RepeatedPhoto(jpeg, chosen.preprocessing) if jpeg else StillCamera(wanted.size_px)
        return time_loop(chosen, way, source, look)

    return choose(compare(ways(numbers), measure, wanted.enough_s), wanted.enough_s)


def look_for(classifier: Classifier, look: str, size_px: tuple[int, int]) -> Look:
    """What a look costs, if frames are looked at with this model and `camera.look`; else none."""
    looks = may_look(look, classifier.region)
    return rehearsed_look(classifier.look, size_px) if looks else no_look


def rehearsed_look(rules: LookRules, size_px: tuple[int, int]) -> Look:
    """A look that takes its time and changes nothing: every frame is classified whole.

    It always finds the same subject, so that it costs what a frame costs that shows something.

    Args:
        rules: of looking.
        size_px: width and height of frames.
    """
    width, height = size_px
    empty, visited = (np.full((height, width, 3), 60, np.uint8) for _ in range(2))
    visited[height // 4 : height // 2, width // 4 : width // 2] = 200
    grid = Grid.of(width, height, rules)
    looker = Looker(rules, place.of_pictures([grid.cells(empty)], visited=False))

    def look(frame: Frame, classifier: Classifier) -> None:
        looker.see(visited, int(time.monotonic() * 1000))

    return look


def time_loop(
    classifier: Classifier, way: Way, source: FrameSource, look: Look = no_look
) -> Timing:
    """Run the frame loop for a moment."""
    ends_s: list[float] = []
    invokes_s: list[float] = []
    with closing(results(source, classifier, ahead=way.ahead, look=look)) as loop:
        for number, result in enumerate(loop):
            if number >= WARM_UP_FRAMES:
                ends_s.append(time.perf_counter())
                invokes_s.append(result.invoke_s)
            if _is_long(ends_s):
                break
    frame_s = (ends_s[-1] - ends_s[0]) / (len(ends_s) - 1)
    return Timing(way, frame_s, statistics.median(invokes_s))


class StillCamera(Polled):
    """A camera that shows the same picture again and again; polled like `device.camera.live`."""

    live = True
    ended = False

    def __init__(self, size_px: tuple[int, int]) -> None:
        """Show a picture of this width and height."""
        width, height = size_px
        self._picture = np.zeros((height, width, 3), np.uint8)

    def poll(self, timeout_s: float) -> Frame:
        """The picture, at once."""
        return Frame("still", self._picture, captured_s=time.monotonic())

    def frames(self) -> Iterator[Frame]:
        """Yield it."""
        while True:
            yield self.poll(0)


@dataclass(frozen=True)
class RepeatedPhoto(FrameSource):
    """A folder in which the same photo comes again and again, and is decoded each time."""

    jpeg: bytes
    rules: Preprocessing

    def frames(self) -> Iterator[Frame]:
        """Yield it."""
        while True:
            picture = pixels(decode(self.jpeg, self.rules))
            yield Frame("still", picture, captured_s=time.monotonic())


def camera_jpeg(example: Pixels, rng: np.random.Generator) -> bytes:
    """A picture enlarged to the size of a camera's frame, with noise to make decoding realistic."""
    enlarged = Image.fromarray(example).resize(FRAME_PX, Image.Resampling.BICUBIC)
    frame = np.asarray(enlarged, np.int16)
    noisy = np.clip(frame + rng.normal(0, 6, frame.shape), 0, 255).astype(np.uint8)
    data = io.BytesIO()
    Image.fromarray(noisy).save(data, "JPEG", quality=JPEG_QUALITY)
    return data.getvalue()


def _is_long(ends_s: Sequence[float]) -> bool:
    if len(ends_s) < 3:
        return False
    took_s = ends_s[-1] - ends_s[0]
    return took_s >= LONG_BURST_S or (took_s >= BURST_S and len(ends_s) > BURST_FRAMES)


def _contenders(candidates: Sequence[Way], best: Mapping[Way, Timing]) -> list[Way]:
    if not best:
        return [*candidates]
    limit_s = CONTENDER_FACTOR * min(timing.frame_s for timing in best.values())
    return [way for way in candidates if best[way].frame_s <= limit_s]
