"""What the inference thread works on in tests: scenes, a model, who collects what it sees."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from device.camera.frame import Frame, FrameSource, Polled
from device.contract import bundle as contract
from device.inference.classifier import Classifier
from device.inference.trial import LoadedModel
from device.service.inference_thread import InferenceThread
from device.service.systemd import Notifier
from device.telemetry.observation import ModelInfo, Observation
from tests.support.films import Shot
from tests.support.pictures import picture


class Scene(FrameSource):
    """A source that shows what it is told."""

    live = True

    def __init__(self, pictures: Iterator[Any]) -> None:
        self._pictures = pictures

    def frames(self) -> Iterator[Frame]:
        for number, pixels in enumerate(self._pictures):
            yield Frame(f"#{number}", pixels, captured_s=time.monotonic())
            time.sleep(0.005)


class Filmed(FrameSource):
    """Frames of a rendered film, taken as fast as they are asked for, at the film's own times."""

    def __init__(self, frames: Iterable[Shot]) -> None:
        self._frames, self._started_s = frames, time.monotonic() - 1000

    def frames(self) -> Iterator[Frame]:
        for shot in self._frames:
            at_s = self._started_s + shot.at_ms / 1000
            yield Frame(f"#{shot.at_ms}", shot.pixels, captured_s=at_s)


def film_file(path: Path, frames: Iterable[Shot], fps: int) -> Path:
    """A rendered film as a video file."""
    import av

    pictures = [shot.pixels for shot in frames]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=fps)
        stream.pix_fmt, stream.bit_rate = "yuvj420p", 4_000_000
        stream.height, stream.width = pictures[0].shape[:2]
        for pixels in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    return path


class Asked(Polled):
    """A camera in memory that knows which threads ask it, and lets in one at a time."""

    live = True
    ended = False

    def __init__(self) -> None:
        self.asked_by: list[str] = []
        self._one = threading.Lock()

    def poll(self, timeout_s: float) -> Frame:
        assert self._one.acquire(blocking=False), "two at once"
        number = len(self.asked_by)
        self.asked_by.append(threading.current_thread().name)
        time.sleep(0.002)
        self._one.release()
        return Frame(f"#{number}", picture(0, 1, 160, 120), captured_s=time.monotonic())

    def frames(self) -> Iterator[Frame]:
        while True:
            yield self.poll(1)


class Collected:
    """Stands in for a sink's thread."""

    def __init__(self, *, wants_pictures: bool = False) -> None:
        self.sink = self
        self.wants_pictures = wants_pictures
        self.seen: list[Observation] = []

    def put(self, observation: Observation) -> None:
        self.seen.append(observation)


class Fed(Notifier):
    """Counts what the watchdog gets."""

    def __init__(self) -> None:
        super().__init__({})
        self.meals = 0

    def feed_watchdog(self) -> None:
        self.meals += 1


def model_of(path: Path, *, ahead: bool = True) -> LoadedModel:
    loaded = contract.load(path)
    info = ModelInfo("tiny", loaded.labels, "", "", "ai-edge-litert", "", 1, None, 0.0)
    return LoadedModel(info, Classifier.from_bundle(loaded), ahead)


Start = Callable[..., tuple[InferenceThread, Collected, Fed, list[Any]]]


def forever(*labels: int) -> Iterator[Any]:
    pictures = [picture(label, 1, 160, 120) for label in labels]
    while True:
        yield from pictures
