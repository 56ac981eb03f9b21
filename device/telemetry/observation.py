"""What the frame loop publishes: one observation for each frame that it took."""

from dataclasses import dataclass, field, replace
from typing import Any

from device.contract.accuracy import TAKEN_AT_THEIR_WORD, Accuracy, ScoreOffset
from device.contract.arrays import Box, Pixels, Scores
from device.contract.look.rules import Region, Seen
from device.contract.thumbnails.record import Thumbnails
from device.telemetry.unknown import Doubt
from device.visits.visit import Visit

UNKNOWN = "unknown"
"""The label while no class reaches the threshold."""
NOTHING = "nothing"
"""The label while nothing is there, so that nothing is classified. A class may have the same name:
`Observation.says_nothing` tells them apart."""


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
    """One of `device.contract.runtimes.FASTEST_FIRST`."""
    runtime_version: str
    threads: int
    limit: float | None
    """The largest distance at which a label counts as seen; None: any."""
    checked_invoke_s: float
    """Time of one invoke, measured when the model was tested."""
    accuracy: Accuracy | None = None
    """From its bundle; None if the bundle does not say."""
    score_offset: ScoreOffset = TAKEN_AT_THEIR_WORD
    """How far scores are below the accuracy of what is accepted."""
    region: Region = Region.WHOLE
    """What of a frame it was trained to see."""
    thumbnails: Thumbnails | None = field(default=None, compare=False, repr=False)
    """Of some training photos; None if its bundle has none that can be used."""


@dataclass(frozen=True)
class Also:
    """One more subject in a frame; of this frame alone, without smoothing."""

    box: Box
    """Left, upper, right, lower, in pixels of the whole frame."""
    label: str
    """A class, or `UNKNOWN`."""
    score: float
    """Of the best class, 0..1."""

    def record(self) -> dict[str, Any]:
        """As a JSON object."""
        return {"label": self.label, "score": round(self.score, 4), "box": [*self.box]}


@dataclass(frozen=True)
class Observation:
    """One frame. Arrays are shared by all sinks: only read them."""

    number: int
    """Counts frames since the service started, from 0."""
    unix_s: float
    """Wall clock when the frame was captured: for people; it may jump."""
    monotonic_s: float
    """The same moment on `time.monotonic()`: for arithmetic."""
    source: str
    """Which frame: path, or address with the frame's number."""
    scores: Scores
    """float32 (classes,): probabilities of this frame alone, 0..1; all 0 if not classified."""
    smoothed: Scores
    """float32 (classes,): the same, smoothed over time."""
    label: str
    """A class, `UNKNOWN` or `NOTHING`; after smoothing, threshold and hysteresis."""
    score: float
    """Smoothed score of `label`; of the best class while unknown; 0 for `NOTHING`."""
    top: tuple[tuple[str, float], ...]
    """The best classes with their smoothed scores, the highest first; empty for `NOTHING`."""
    changed: bool
    """Whether `label` differs from the observation before (true for the first)."""
    model: ModelInfo
    invoke_s: float
    """0 if the model was not run."""
    overhead_s: float
    """Work on this frame other than capture and invoke: prepare, copy, dequantize, smooth."""
    latency_s: float
    """From the captured frame to its scores, waiting and `lag_s` included."""
    picture: Pixels | None = field(default=None, repr=False)
    """uint8 (h, w, 3) R, G, B: the whole frame; only while a sink wants pictures."""
    lag_s: float = 0.0
    """How far behind a camera's stream the frame was when it was decoded."""
    crop_box: tuple[int, int, int, int] = (0, 0, 0, 0)
    """Left, upper, right, lower of the classified part, in pixels of the whole frame; if nothing
    was classified, of the part that would be if the frame were not looked at."""
    class_map: Scores | None = field(default=None, repr=False)
    """float32 (rows, columns, classes), logits over `crop_box`; only with a picture, if the model
    has this output, and if the frame was classified."""
    seen: Seen | None = None
    """What a look at the frame showed; None if frames are classified as they come. With SOMETHING
    `crop_box` is the box around it. The label follows a little later (`Presence`)."""
    changed_permille: int = 0
    """How much of the frame differs from the background, 0 to 1000; 0 if it was not looked at."""
    also: tuple[Also, ...] = ()
    """Further subjects, where the settings ask for more than one."""
    visit: Visit | None = None
    """The visit that goes on; with its last frame's end, the one that has just ended."""
    visit_changed: bool = False
    """Whether `visit` began or ended with this observation."""
    distance: float | None = None
    """How strange this frame alone is for its label (`Prediction.distance`); None if it was not
    classified."""
    doubt: Doubt | None = None
    """Why `label` is `UNKNOWN`; None if it is not, or if nothing was classified yet."""
    features: Scores | None = field(default=None, repr=False)
    """float32 (features,) of this frame; only with a picture, if the model has this output, and if
    the frame was classified."""

    @property
    def says_nothing(self) -> bool:
        """Whether the answer is that nothing is there; a class may be called `NOTHING`, too."""
        return self.label == NOTHING and not self.top

    @property
    def must_arrive(self) -> bool:
        """Whether sinks get it even if they are late: the label changed, or a visit did."""
        return self.changed or self.visit_changed

    @property
    def ended_visit(self) -> Visit | None:
        """The visit that ended with this observation."""
        ended = self.visit is not None and self.visit.end_unix_s is not None
        return self.visit if ended else None

    def without_picture(self) -> "Observation":
        """The same without what takes much memory, and comes only with a picture."""
        return replace(self, picture=None, class_map=None, features=None)

    def record(self) -> dict[str, Any]:
        """As a JSON object, without pictures."""
        return {
            "frame": self.number,
            "source": self.source,
            "time": round(self.unix_s, 3),
            "label": self.label,
            "score": round(self.score, 4),
            "why": self.doubt.words() if self.doubt else None,
            "changed": self.changed,
            "seen": self.seen.value if self.seen else None,
            "box": [*self.crop_box] if self.seen is Seen.SOMETHING else None,
            "distance": None if self.distance is None else round(self.distance, 4),
            "also": [other.record() for other in self.also],
            "top": {name: round(score, 4) for name, score in self.top},
            "invoke_ms": round(self.invoke_s * 1e3, 3),
            "overhead_ms": round(self.overhead_s * 1e3, 3),
            "latency_ms": round(self.latency_s * 1e3, 3),
            "lag_ms": round(self.lag_s * 1e3, 3),
        }
