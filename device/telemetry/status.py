"""A snapshot of the service's health."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from device.drift.status import DriftStatus
from device.telemetry.observation import ModelInfo
from device.telemetry.updates import UpdateStatus


def rounded_rate(fps: float) -> float:
    """A rate rounded for people: one decimal, or two significant digits below 1."""
    return round(fps, 1) if fps >= 1 else float(f"{fps:.2g}")


class CameraState(StrEnum):
    """The state of a camera; every output reports it with this word."""

    CONNECTING = "connecting"
    STREAMING = "streaming"
    LOST = "lost"
    """Opening it is tried again and again."""
    ENDED = "ended"
    """A file or folder came to its end."""


@dataclass(frozen=True)
class CameraStatus:
    """The state of the camera."""

    source: str = ""
    """Its address, without password."""
    state: CameraState = CameraState.CONNECTING
    problem: str = ""
    """Why it is lost, one line; empty while streaming."""
    frames_total: int = 0
    corrupt_total: int = 0
    """Frames that could not be decoded; they are skipped."""
    dropped_total: int = 0
    """Frames of a live camera replaced by a newer one before they were classified."""
    stalls_total: int = 0
    reconnects_total: int = 0
    """Times that frames came back after the camera was lost."""
    width_px: int = 0
    height_px: int = 0
    last_frame_s: float | None = None
    """`time.monotonic()` of the newest frame."""
    lag_s: float = 0.0
    """How far that frame was behind the camera's stream."""


@dataclass(frozen=True)
class BoardStatus:
    """What the board's firmware and sensors report; None where the board has none."""

    temperature_c: float | None = None
    throttled: int | None = None
    """The firmware's `get_throttled` word: bits 0-3 now, 16-19 since boot."""
    slowed: bool = False
    """Whether the frame rate is lowered because of either."""


@dataclass(frozen=True)
class SinkStatus:
    """The state of one sink."""

    delivered_total: int = 0
    dropped_total: int = 0
    """Observations replaced by a newer one before the sink took them."""
    lost_changes_total: int = 0
    """Those of them in which the label had changed: the sink hung for very long."""
    errors_total: int = 0
    problem: str = ""
    """The last error, one line; empty since the last success."""
    figures: Mapping[str, float] = field(default_factory=dict)
    """The sink's own figures (`device.outputs.sink.Counting`), as of its last tick."""


@dataclass(frozen=True)
class Status:
    """A snapshot of the service; cheap, consistent, taken at any time from any thread."""

    version: str
    started_unix_s: float
    uptime_s: float
    camera: CameraStatus
    board: BoardStatus
    model: ModelInfo | None
    """None until the first model passed its self-test."""
    model_problem: str
    """Why the newest bundle was refused (the previous one still runs); else empty."""
    swaps_total: int
    """Models swapped in while running."""
    inferences_total: int
    invoke_s_total: float
    overhead_s_total: float
    latency_s_total: float
    fps: float
    """Frames taken per second, over the last seconds or frames; 0 once they stopped."""
    reloads_total: int
    config_problem: str
    """Why the newest settings were refused; else empty."""
    sinks: Mapping[str, SinkStatus]
    drift: DriftStatus | None = None
    """What has changed at the camera; None if nothing watches, or before the model is known."""
    update: UpdateStatus | None = None
    """What the updater tells; None if the settings want no releases."""
