"""What the service says of its own health."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from device.telemetry.observation import ModelInfo


def rounded_rate(fps: float) -> float:
    """A rate as people get it: one decimal, below 1 two digits."""
    return round(fps, 1) if fps >= 1 else float(f"{fps:.2g}")


class CameraState(StrEnum):
    """What a camera does; each output tells it by this word."""

    CONNECTING = "connecting"
    STREAMING = "streaming"
    LOST = "lost"
    """It is tried again and again."""
    ENDED = "ended"
    """A file or folder came to its end."""


@dataclass(frozen=True)
class CameraStatus:
    """How the camera does."""

    source: str = ""
    """Its address, without password."""
    state: CameraState = CameraState.CONNECTING
    problem: str = ""
    """Why it is lost, one line; empty while streaming."""
    frames_total: int = 0
    corrupt_total: int = 0
    """Frames that could not be decoded; they are passed over."""
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
    """How far that one is behind what the camera has sent by then."""


@dataclass(frozen=True)
class BoardStatus:
    """What the board's firmware and sensors say; None where there is no such thing."""

    temperature_c: float | None = None
    throttled: int | None = None
    """The firmware's `get_throttled` word: bits 0-3 now, 16-19 since boot."""
    slowed: bool = False
    """Whether the frame rate is lowered because of either."""


@dataclass(frozen=True)
class SinkStatus:
    """How one sink does."""

    delivered_total: int = 0
    dropped_total: int = 0
    """Observations replaced by a newer one before the sink took them."""
    lost_changes_total: int = 0
    """Of those, the ones in which the label had changed: the sink hung for very long."""
    errors_total: int = 0
    problem: str = ""
    """The last error, one line; empty since the last success."""
    figures: Mapping[str, float] = field(default_factory=dict)
    """Its own (`device.outputs.sink.Counting`), as of its last tick."""


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
    """Why the newest bundle was not taken (the one before still runs); else empty."""
    swaps_total: int
    """Models swapped in while running."""
    inferences_total: int
    invoke_s_total: float
    overhead_s_total: float
    latency_s_total: float
    fps: float
    """Classified frames a second over the last seconds, or frames; 0 when they stopped."""
    reloads_total: int
    config_problem: str
    """Why the newest settings were not taken; else empty."""
    sinks: Mapping[str, SinkStatus]
