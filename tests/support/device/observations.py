"""Observations without a camera, and what a sink needs around it."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from device.contract.look.rules import Seen
from device.errors import OutputError
from device.outputs.sink import Context, DriftWatcher, Sink, Updating
from device.outputs.thread import SinkThread
from device.settings.sections import (
    BundleConfig,
    CameraConfig,
    Config,
    OutputConfig,
    SmoothingConfig,
    VisitsConfig,
)
from device.telemetry.counters import Telemetry
from device.telemetry.observation import NOTHING, UNKNOWN, ModelInfo, Observation
from device.telemetry.status import Status
from device.telemetry.unknown import UnknownRule
from device.telemetry.updates import UpdateStatus
from tests.support.pictures import LABELS, picture
from tests.support.timing import Patience

MODEL = ModelInfo(
    name="tiny",
    labels=LABELS,
    sha256="ab" * 32,
    data="12 synthetic pictures",
    runtime="ai-edge-litert",
    runtime_version="2.3.0",
    threads=1,
    limit=None,
    checked_invoke_s=0.004,
)
WAITING = UpdateStatus(
    source="http://fleet.example/public",
    name="birds",
    installed=2,
    latest=3,
    checked_unix_s=1_780_000_000.0,
    verified=True,
    waits="its hours, 2:00 to 5:00",
)
"""A release that waits to be installed."""


def sight(
    number: int,
    label: int | None = 0,
    *,
    changed: bool = False,
    width: int = 160,
    height: int = 120,
    model: ModelInfo = MODEL,
    **more: Any,
) -> Observation:
    """An observation with a picture, whose map speaks for the label in its upper left corner."""
    best = 0 if label is None else label
    share = 0.4 if label is None else 0.8
    scores = np.full(len(LABELS), (1 - share) / (len(LABELS) - 1), np.float32)
    scores[best] = share
    class_map = np.zeros((7, 7, len(LABELS)), np.float32)
    class_map[:3, :3, best] = 5
    order = np.argsort(-scores, kind="stable")
    doubt = UnknownRule.of(None, 0.5).doubt(model.labels, scores, None) if label is None else None
    observation = Observation(
        number=number,
        unix_s=time.time(),
        monotonic_s=time.monotonic(),
        source="rtsp://garden/stream #1",
        scores=scores,
        smoothed=scores,
        label=UNKNOWN if label is None else model.labels[label],
        score=share,
        top=tuple((model.labels[i], float(scores[i])) for i in order),
        changed=changed,
        model=model,
        invoke_s=0.004,
        overhead_s=0.001,
        latency_s=0.006,
        picture=picture(best, number, width, height),
        crop_box=((width - height) // 2, 0, (width + height) // 2, height),
        class_map=class_map,
        doubt=doubt,
    )
    return replace(observation, **more)


def nothing(number: int, **more: Any) -> Observation:
    """An observation of a camera that knows its background, and sees nothing else."""
    none = np.zeros(len(LABELS), np.float32)
    empty = {"scores": none, "smoothed": none, "score": 0.0, "top": (), "class_map": None}
    said = {"label": NOTHING, "seen": Seen.NOTHING, "invoke_s": 0.0}
    return replace(sight(number), **{**empty, **said, **more})


class Surroundings:
    """The service as one sink sees it."""

    def __init__(self, bundle: str = "/nowhere", threshold: float | None = None) -> None:
        self.telemetry = Telemetry("http://user:secret@garden/stream")
        self.telemetry.model(MODEL)
        self.collect = self.telemetry.start_sink("collect")
        self.telemetry.camera.streams()
        self.telemetry.camera.frames(1, captured_s=time.monotonic(), size_px=None)
        self.kept: list[tuple[int, str]] = []
        self.observations: list[Observation] = []
        self.cannot_keep = ""
        self.watcher: DriftWatcher | None = None
        self.updating: Updating | None = None
        self._bundle, self._threshold = BundleConfig(path=bundle), threshold

    def context(
        self,
        camera: CameraConfig | None = None,
        visits: VisitsConfig | None = None,
        **sections: Any,
    ) -> Context:
        config = Config(
            bundle=self._bundle,
            camera=camera or CameraConfig(),
            visits=visits or VisitsConfig(),
            output=OutputConfig(**sections),
            smoothing=SmoothingConfig(threshold=self._threshold),
        )
        return Context(config, self.status, self._keep, lambda: self.watcher, lambda: self.updating)

    def status(self) -> Status:
        return self.telemetry.snapshot()

    def run(self, sink: Sink) -> SinkThread:
        return SinkThread(sink, self.telemetry)

    def _keep(self, observation: Observation, label: str) -> str:
        if self.cannot_keep:
            raise OutputError(self.cannot_keep)
        self.kept.append((observation.number, label))
        self.observations.append(observation)
        return f"{label}/{observation.number}.jpg"


def publish_until(
    sink: Sink, condition: Callable[[], Any], sights: Callable[[int], Observation] = sight
) -> None:
    """Give a sink frames, pictures only when it wants them, until something holds."""
    patience, number = Patience(10), 0
    while not condition():
        assert not patience.exhausted, "it did not happen in time"
        observation = sights(number)
        wanted = sink.wants_pictures
        sink.publish(observation if wanted else observation.without_picture())
        number += 1
        time.sleep(0.01)
