"""What the frame loop publishes, and what it tells of its own health."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from device.contract.preprocess import Pixels
from device.inference.classifier import Scores

UNKNOWN = "unknown"
"""The label while no class reaches the threshold."""


@dataclass(frozen=True)
class ModelInfo:
    """The model behind an observation; a new object after each swap (compare with `is`)."""

    name: str
    labels: tuple[str, ...]
    sha256: str
    """Hex digest of the model's bytes."""
    data: str
    """One line that says which photos it was made from."""
    runtime: str
    """ "edgetpu", "ai-edge-litert" or "tflite-runtime"."""
    runtime_version: str
    threads: int
    threshold: float
    """The score, 0..1, from which on a label counts as seen."""
    checked_invoke_s: float
    """Time of one invoke as measured when the model was tested."""


@dataclass(frozen=True)
class Observation:
    """One classified frame. Arrays are shared by all sinks: only read them."""

    number: int
    """Of classified frames since the service started, from 0."""
    unix_s: float
    """Wall clock when the frame was captured: for people; it may jump."""
    monotonic_s: float
    """The same moment on `time.monotonic()`: for arithmetic."""
    source: str
    """Which frame: path, or address with the frame's number."""
    scores: Scores
    """float32 (classes,): probabilities of this frame alone, 0..1."""
    smoothed: Scores
    """float32 (classes,): the same, smoothed over time."""
    label: str
    """A class, or `UNKNOWN`; after smoothing, threshold and hysteresis."""
    score: float
    """Smoothed score of `label`; of the best class while unknown."""
    top: tuple[tuple[str, float], ...]
    """The best classes with their smoothed scores, the highest first."""
    changed: bool
    """Whether `label` differs from the observation before (true for the first)."""
    model: ModelInfo
    invoke_s: float
    overhead_s: float
    """Work on this frame besides capture and invoke: prepare, copy, dequantize, smooth."""
    latency_s: float
    """From the captured frame to its scores, waiting and `lag_s` included."""
    picture: Pixels | None = field(default=None, repr=False)
    """uint8 (h, w, 3) R, G, B: the whole frame; only while a sink wants pictures."""
    lag_s: float = 0.0
    """How far behind a camera's stream the frame was when it was decoded."""
    crop_box: tuple[int, int, int, int] = (0, 0, 0, 0)
    """Left, upper, right, lower of the classified part, in pixels of the whole frame."""
    class_map: Scores | None = field(default=None, repr=False)
    """float32 (rows, columns, classes), logits over `crop_box`; with a picture, if the model
    has it."""

    def record(self) -> dict[str, Any]:
        """As a JSON object, without pictures."""
        return {
            "frame": self.number,
            "source": self.source,
            "time": round(self.unix_s, 3),
            "label": self.label,
            "score": round(self.score, 4),
            "changed": self.changed,
            "top": {name: round(score, 4) for name, score in self.top},
            "invoke_ms": round(self.invoke_s * 1e3, 3),
            "overhead_ms": round(self.overhead_s * 1e3, 3),
            "latency_ms": round(self.latency_s * 1e3, 3),
            "lag_ms": round(self.lag_s * 1e3, 3),
        }


def told_rate(fps: float) -> float:
    """A rate as people get it: one decimal, below 1 two digits."""
    return round(fps, 1) if fps >= 1 else float(f"{fps:.2g}")


@dataclass(frozen=True)
class CameraStatus:
    """How the camera does."""

    source: str = ""
    """Its address, without password."""
    state: str = "connecting"
    """connecting, streaming, lost (trying again) or ended (a file came to its end)."""
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
    """Its own (`sinks.Counting`), as of its last tick."""


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
