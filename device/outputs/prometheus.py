"""The sink with metrics for Prometheus.

Everything is read from the service's own counters on request. Units are base units, shares go from
0 to 1, and no metric's labels grow with the number of frames.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping

import numpy as np
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from device.contract.release.naming import SOFTWARE
from device.drift.status import DriftStatus
from device.outputs.http.messages import Request, Response, not_allowed, text
from device.outputs.http.serving import ServingSink
from device.outputs.sink import Context
from device.telemetry.board import FLAGS
from device.telemetry.observation import Observation
from device.telemetry.status import CameraState, CameraStatus, SinkStatus, Status
from device.telemetry.updates import ReleaseStatus, UpdateStatus

PREFIX = "fieldguide_"
MAX_LABELS = 100
"""How many classes, best first, have their own score; each is a time series."""
OTHERS = "(other)"
"""Counts the changes to labels beyond the first `MAX_LABELS`, and visits of such labels."""


class Prometheus(ServingSink):
    """Serves /metrics; `device.outputs.http.access` decides who gets it."""

    name = "prometheus"
    wants_pictures = False

    def __init__(self, context: Context) -> None:
        super().__init__(context.config.output.prometheus)
        self._context = context
        self._newest: Observation | None = None
        self._registry = CollectorRegistry()
        self._registry.register(_Collector(self._collect))
        # Memory, processor time and open files, under the names that all exporters use.
        ProcessCollector(registry=self._registry)
        self._changes: Counter[str] = Counter()
        self._visits: Counter[str] = Counter()

    def publish(self, observation: Observation) -> None:
        """Remember the newest scores, and count a change and a visit that has ended."""
        self._newest = observation
        if observation.changed:
            _count(self._changes, observation.label)
        if (ended := observation.ended_visit) is not None:
            _count(self._visits, ended.label)

    async def _answer(self, request: Request) -> Response:
        refusal = self._access.refuse(request)
        if refusal is not None:
            return refusal
        if request.path != "/metrics":
            return text(404, "The metrics are at /metrics.")
        if request.method == "POST":
            return not_allowed("GET")
        return Response(200, generate_latest(self._registry), CONTENT_TYPE_LATEST)

    def _collect(self) -> Iterator[Metric]:
        status = self._context.status()
        yield from service(status)
        yield from camera(status.camera)
        yield from board(status)
        yield from outputs(status)
        yield from figures(status)
        if status.drift is not None:
            yield from drift(status.drift)
        if status.update is not None:
            yield from update(status.update)
        yield _by_label("label_changes", "Times that the label became this one", self._changes)
        yield _by_label("visits", "Visits that have ended", self._visits)
        if self._newest is not None and status.camera.state == CameraState.STREAMING:
            # Scores of a lost camera would look current.
            yield from scores(self._newest)


class _Collector(Collector):
    """What prometheus-client calls on each request."""

    def __init__(self, collect: Callable[[], Iterator[Metric]]) -> None:
        self._collect = collect

    def collect(self) -> Iterator[Metric]:
        return self._collect()


def service(status: Status) -> Iterator[Metric]:
    """Version, model, inferences."""
    facts = {"version": status.version}
    if (model := status.model) is not None:
        facts |= {
            "model": model.name,
            "model_sha256": model.sha256,
            "runtime": model.runtime,
            "runtime_version": model.runtime_version,
        }
    yield InfoMetricFamily("fieldguide", "Versions of the service and its model", facts)
    yield _gauge("uptime_seconds", "Time since the service started", status.uptime_s)
    yield _gauge(
        "inference_rate_hertz", "Frames looked at or classified per second, lately", status.fps
    )
    count = status.inferences_total
    times = {
        "invoke": ("One run of the model", status.invoke_s_total),
        "overhead": ("Work on a frame other than capture and invoke", status.overhead_s_total),
        "latency": ("From the captured frame to its scores", status.latency_s_total),
    }
    for name, (words, total_s) in times.items():
        yield SummaryMetricFamily(f"{PREFIX}{name}_seconds", words, count, total_s)
    yield _counter("model_swaps", "Models swapped in while running", status.swaps_total)
    refused = "Whether the newest bundle was refused and the old one still runs"
    yield _gauge("model_refused", refused, bool(status.model_problem))
    yield _counter(
        "settings_reloads", "Times that the settings were reloaded", status.reloads_total
    )
    refused = "Whether the newest settings were refused and the old ones are in use"
    yield _gauge("settings_refused", refused, bool(status.config_problem))


def camera(status: CameraStatus) -> Iterator[Metric]:
    """Frames, and how often they did not come."""
    yield _gauge("camera_up", "Whether frames come", status.state == CameraState.STREAMING)
    if status.last_frame_s is not None:
        age_s = time.monotonic() - status.last_frame_s
        yield _gauge("camera_frame_age_seconds", "Age of the newest frame", age_s)
    words = "How far decoding is behind the camera's stream"
    yield _gauge("camera_lag_seconds", words, status.lag_s)
    counts = {
        "frames": ("Frames from the camera", status.frames_total),
        "corrupt_frames": ("Frames that could not be decoded", status.corrupt_total),
        "dropped_frames": ("Frames replaced by a newer one", status.dropped_total),
        "stalls": ("Times that no frame came for too long", status.stalls_total),
        "reconnects": ("Times that frames came back", status.reconnects_total),
    }
    for name, (words, count) in counts.items():
        yield _counter(f"camera_{name}", words, count)


def board(status: Status) -> Iterator[Metric]:
    """Temperature and throttling, if the board reports them."""
    state = status.board
    if state.temperature_c is not None:
        words = "The hottest sensor"
        yield _gauge("board_temperature_celsius", words, state.temperature_c)
    yield _gauge("board_slowed", "Whether the frame rate is lowered", state.slowed)
    if state.throttled is not None:
        words = "Problems that the firmware reports"
        now = _family("board_throttled", f"{words} now", ["reason"])
        since = _family("board_throttled_since_boot", f"{words} since boot", ["reason"])
        for bit, reason in FLAGS.items():
            now.add_metric([reason], state.throttled >> bit & 1)
            since.add_metric([reason], state.throttled >> (bit + 16) & 1)
        yield from (now, since)


def outputs(status: Status) -> Iterator[Metric]:
    """Each sink's own counts."""
    up = _family("output_up", "Whether the output's last attempt worked", ["output"])
    for name, sink in status.sinks.items():
        up.add_metric([name], not sink.problem)
    yield up
    dropped = "Observations replaced by a newer one before they were delivered"
    counts: dict[str, tuple[str, Callable[[SinkStatus], int]]] = {
        "delivered": ("Observations delivered", lambda sink: sink.delivered_total),
        "dropped": (dropped, lambda sink: sink.dropped_total),
        "lost_changes": ("Label changes among them", lambda sink: sink.lost_changes_total),
        "errors": ("Attempts that failed", lambda sink: sink.errors_total),
    }
    for name, (words, count) in counts.items():
        family = CounterMetricFamily(f"{PREFIX}output_{name}", words, labels=["output"])
        for output, sink in status.sinks.items():
            family.add_metric([output], count(sink))
        yield family


def figures(status: Status) -> Iterator[Metric]:
    """The sinks' own figures."""
    for output, sink in status.sinks.items():
        for name, value in sink.figures.items():
            make = _counter if name.endswith("_total") else _gauge
            yield make(f"{output}_{name}", f"Of the output {output}", value)


def drift(status: DriftStatus) -> Iterator[Metric]:
    """What has changed; levels are 0 while usual days are learned, but for that of the place."""
    words = "How far it is from usual days, as a share of what raises an alarm"
    levels, alarms = (
        _family(name, text, ["family"])
        for name, text in (
            ("drift", words),
            ("drift_alarm", "Whether it has changed for days"),
        )
    )
    for family, found in status.families.items():
        levels.add_metric([family.value], found.level)
        alarms.add_metric([family.value], found.alarm)
    learned = _gauge("drift_learned_days", "Usual days known so far", status.learned_days)
    yield from (levels, alarms, learned)
    if status.accuracy is not None and status.is_accuracy_valid:
        words = "Share of accepted answers that are right, by their calibrated scores"
        yield _gauge("estimated_accuracy_ratio", words, status.accuracy.mean)


def update(status: UpdateStatus) -> Iterator[Metric]:
    """Which release the updater has installed, and why it may not take another."""
    facts = {
        "release": f"{status.name}/{status.installed}",
        "stage": status.stage,
        "unknown_group": status.unknown_group,
    }
    yield InfoMetricFamily("fieldguide_update", "The release that was confirmed last", facts)
    yield from _releases("update", status)
    if status.checked_unix_s:
        words = "When the server last answered with success, Unix time"
        yield _gauge("update_checked_timestamp_seconds", words, status.checked_unix_s)
    states = {
        "time_verified": ("Whether a time server had set the clock then", status.verified),
        "expired": ("Whether all is too old by this clock", status.expired),
        "frozen": ("Whether nothing newer was signed for three weeks", status.frozen),
        "away": ("Whether the stick with the releases is not plugged in", bool(status.away)),
    }
    for name, (words, value) in states.items():
        yield _gauge(f"update_{name}", words, value)
    own = status.software
    release = f"{SOFTWARE}/{own.installed}" if own.fetched else ""
    facts = {"version": own.version, "runs": own.runs, "release": release, "stage": own.stage}
    yield InfoMetricFamily("fieldguide_software", "The software, and where it runs from", facts)
    yield from _releases("software", own)


def _releases(kind: str, status: ReleaseStatus) -> Iterator[Metric]:
    yield _gauge(f"{kind}_installed_release", "Its number; 0: none", status.installed)
    yield _gauge(f"{kind}_latest_release", "The newest for this board; 0: none", status.latest)
    yield _gauge(f"{kind}_problem", "Whether the last attempt failed", bool(status.problem))
    yield _gauge(f"{kind}_failed_releases", "Releases that led back", len(status.failed))
    yield _gauge(f"{kind}_failed_release", "The newest of them; 0: none", status.failed_last)


def _count(counts: Counter[str], label: str) -> None:
    known = label in counts or len(counts) < MAX_LABELS
    counts[label if known else OTHERS] += 1


def _by_label(name: str, words: str, counts: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(PREFIX + name, words, labels=["label"])
    # A copy: the sink's own thread may change it meanwhile.
    for label, count in sorted(dict(counts).items()):
        family.add_metric([label], count)
    return family


def scores(observation: Observation) -> Iterator[Metric]:
    """What is seen now: 1 for the current label, and each class's smoothed score."""
    label = _family("label", "The class seen now, unknown or nothing: always 1", ["label"])
    label.add_metric([observation.label], 1)
    if observation.seen is not None:
        words = "What differs from the background of the place: always 1"
        seen = _family("seen", words, ["seen"])
        seen.add_metric([observation.seen.value], 1)
        yield seen
    family = _family("score_ratio", "Smoothed score of a class, 0 to 1", ["label"])
    best = np.argsort(-observation.smoothed, kind="stable")[:MAX_LABELS]
    for index in best:
        family.add_metric([observation.model.labels[index]], float(observation.smoothed[index]))
    yield from (label, family)


def _gauge(name: str, words: str, value: float) -> Metric:
    return GaugeMetricFamily(PREFIX + name, words, value)


def _counter(name: str, words: str, value: float) -> Metric:
    return CounterMetricFamily(PREFIX + name, words, value)


def _family(name: str, words: str, labels: list[str]) -> GaugeMetricFamily:
    return GaugeMetricFamily(PREFIX + name, words, labels=labels)
