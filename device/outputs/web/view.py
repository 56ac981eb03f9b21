"""What the web page shows, as JPEG and JSON; pure functions, except for the history."""

import io
import json
import math
import secrets
import threading
import time
from collections import deque
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from PIL import Image

from device.contract.arrays import Box, Pixels, Scores
from device.outputs.web.frame_from_page import MAX_SIDE_PX
from device.telemetry.board import explain
from device.telemetry.observation import ModelInfo, Observation
from device.telemetry.status import Status, rounded_rate

MAX_KEPT_PIXELS = 1440 * 1440
"""Size limit of what a viewer can save, 6 MB; of larger pictures every few pixels become one."""
STRIP_PX = 64
JPEG_QUALITY = 80
MIN_SPAN = 3.0
"""The smallest range of log odds that shades cover: a factor of 20 in the odds."""
_ISOLATE, _END = "\u2068", "\u2069"
_TURNING = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A)])
"""Characters that change the direction of the text after them."""
MAX_CHANGES = 50
SAMPLE_INTERVAL_S = 1.0
MAX_SAMPLES = 180


@dataclass(frozen=True)
class EncodedFrame:
    """One frame as sent to viewers; encoded once for all of them."""

    observation: Observation
    """With what can be saved of it: the whole frame, made smaller if it is large."""
    body: bytes
    """multipart/form-data (RFC 7578): `state`, JSON; `picture`, JPEG."""
    content_type: str


def encode_frame(observation: Observation) -> EncodedFrame:
    """Encode an observation that has a picture."""
    assert observation.picture is not None
    # Random, so that no picture can contain it.
    boundary = secrets.token_hex(16)
    parts = {
        "state": ("application/json", json.dumps(frame_record(observation)).encode()),
        "picture": ("image/jpeg", jpeg(observation.picture)),
    }
    body = b"".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{name}"\r\n'
        f"Content-Type: {kind}\r\n\r\n".encode()
        + data
        + b"\r\n"
        for name, (kind, data) in parts.items()
    )
    body += f"--{boundary}--\r\n".encode()
    return EncodedFrame(_kept(observation), body, f"multipart/form-data; boundary={boundary}")


def _kept(observation: Observation) -> Observation:
    """With a picture of limited size: each viewer keeps one in memory."""
    assert observation.picture is not None
    height, width = observation.picture.shape[:2]
    factor = math.ceil(math.sqrt(height * width / MAX_KEPT_PIXELS))
    whole = reduced(observation.picture, factor)
    left, upper, right, lower = observation.crop_box
    # Rounded outwards: what the model saw stays in it.
    box = (left // factor, upper // factor, -(-right // factor), -(-lower // factor))
    return replace(observation.without_picture(), picture=whole, crop_box=box)


def jpeg(picture: Pixels) -> bytes:
    """A JPEG of at most `MAX_SIDE_PX` a side.

    Args:
        picture: uint8 (h, w, 3), R, G, B.
    """
    factor = math.ceil(max(picture.shape[:2]) / MAX_SIDE_PX)
    data = io.BytesIO()
    Image.fromarray(reduced(picture, factor)).save(data, "JPEG", quality=JPEG_QUALITY)
    return data.getvalue()


def reduced(picture: Pixels, factor: int) -> Pixels:
    """A copy reduced by averaging `factor` x `factor` pixels, like `Image.reduce`.

    It works in strips: reducing a whole frame would need it in memory twice.
    """
    if factor == 1:
        return picture.copy()
    rows = range(0, len(picture), factor * STRIP_PX)
    strips = (Image.fromarray(picture[top : top + rows.step]).reduce(factor) for top in rows)
    return np.concatenate([np.asarray(strip) for strip in strips])


def frame_record(observation: Observation) -> dict[str, Any]:
    """What one frame shows."""
    height, width = observation.picture.shape[:2] if observation.picture is not None else (0, 0)
    return {
        "frame": observation.number,
        "time": observation.unix_s,
        "source": observation.source,
        "model_sha256": observation.model.sha256,
        "label": observation.label,
        "nothing": observation.says_nothing,
        "seen": observation.seen.value if observation.seen else None,
        "changed_permille": observation.changed_permille,
        "score": round(observation.score, 4),
        "why": observation.doubt.words(isolated) if observation.doubt else "",
        "top": [[name, round(score, 4)] for name, score in observation.top],
        "invoke_ms": round(observation.invoke_s * 1e3, 2),
        "latency_ms": round(observation.latency_s * 1e3, 2),
        "size_px": [width, height],
        "crop": _fractions(observation.crop_box, width, height),
        "also": [
            {**other.record(), "box": _fractions(other.box, width, height)}
            for other in observation.also
        ],
        "map": heat_map(observation),
        "nearest": nearest(observation),
    }


def isolated(name: str) -> str:
    """A name as part of a sentence: it may run from right to left, or try to turn what follows."""
    return f"{_ISOLATE}{name.translate(_TURNING)}{_END}"


def nearest(observation: Observation) -> list[dict[str, Any]]:
    """The training photos most like a frame, as far as their thumbnails are in the bundle."""
    kept = observation.model.thumbnails
    if kept is None or observation.features is None:
        return []
    labels = observation.model.labels
    return [{"n": n, "label": labels[kept.labels[n]]} for n in kept.nearest(observation.features)]


def _fractions(box: Box, width: int, height: int) -> list[float]:
    """A box in fractions of the frame: the JPEG may be smaller. Empty without a picture."""
    if not (width and height):
        return []
    sides = zip(box, (width, height, width, height), strict=True)
    return [round(side / whole, 5) for side, whole in sides]


def heat_map(observation: Observation) -> dict[str, list[list[int]]]:
    """For each of the best classes, how much each part of the crop speaks for it, 0 to 255.

    Based on the log odds at each position; 255 is the part that speaks most for the class. This is
    relative: even for a class that is not seen, it shows what looks most like it.
    """
    if observation.class_map is None:
        return {}
    odds = log_odds(observation.class_map)
    labels = observation.model.labels
    return {name: _shades(odds[..., labels.index(name)]) for name, _ in observation.top}


def log_odds(logits: Scores) -> Scores:
    """Log of p / (1 - p) for the softmax p over the last axis."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    shares = np.clip(powers / powers.sum(axis=-1, keepdims=True), 1e-6, 1 - 1e-6)
    odds: Scores = np.log(shares / (1 - shares))
    return odds


def _shades(odds: Scores) -> list[list[int]]:
    # A map that is nearly even must look even.
    span = max(float(odds.max() - odds.min()), MIN_SPAN)
    shades = 255 * (1 - (odds.max() - odds) / span)
    return np.rint(shades).astype(int).tolist()  # type: ignore[no-any-return]


class History:
    """Label changes, and scores once a second; usable from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._changes: deque[Observation] = deque(maxlen=MAX_CHANGES)
        self._samples: deque[tuple[float, str, float, bool]] = deque(maxlen=MAX_SAMPLES)
        self._next_s = float("-inf")

    def add(self, observation: Observation) -> None:
        """Add an observation; its pictures are not kept."""
        with self._lock:
            if observation.changed:
                self._changes.append(observation.without_picture())
            if observation.monotonic_s >= self._next_s:
                self._next_s = observation.monotonic_s + SAMPLE_INTERVAL_S
                said = (observation.label, observation.score, observation.says_nothing)
                self._samples.append((observation.monotonic_s, *said))

    def record(self) -> dict[str, Any]:
        """Newest change first; with ages instead of times, because a board may have no clock."""
        now_s = time.monotonic()
        with self._lock:
            changes, samples = list(self._changes), list(self._samples)
        return {
            "changes": [
                {
                    "age_s": round(now_s - change.monotonic_s, 1),
                    "label": change.label,
                    "score": round(change.score, 4),
                    "nothing": change.says_nothing,
                }
                for change in reversed(changes)
            ],
            "samples": [
                [round(now_s - moment_s, 1), label, round(score, 4), nothing]
                for moment_s, label, score, nothing in samples
            ],
        }


def health(status: Status, threshold: float | None) -> dict[str, Any]:
    """The health of the service.

    Args:
        status: as of now.
        threshold: of the settings; None if the model's limit on distances applies.
    """
    camera, board = status.camera, status.board
    age_s = None if camera.last_frame_s is None else time.monotonic() - camera.last_frame_s
    return {
        "version": status.version,
        "uptime_s": round(status.uptime_s),
        "fps": rounded_rate(status.fps),
        "camera": {
            "source": camera.source,
            "state": camera.state,
            "problem": camera.problem,
            "size_px": [camera.width_px, camera.height_px],
            "frame_age_s": None if age_s is None else round(age_s, 1),
            "lag_s": round(camera.lag_s, 1),
            "reconnects": camera.reconnects_total,
            "corrupt": camera.corrupt_total,
        },
        "board": {
            "temperature_c": board.temperature_c,
            "throttled": None if board.throttled is None else explain(board.throttled),
            "slowed": board.slowed,
        },
        "model": status.model and _running(status.model),
        "threshold": threshold,
        "model_problem": status.model_problem,
        "config_problem": status.config_problem,
        "saves": "collect" in status.sinks,
        "update": status.update and asdict(status.update),
        "outputs": {name: sink.problem for name, sink in sorted(status.sinks.items())},
    }


def _running(info: ModelInfo) -> dict[str, Any]:
    return {
        "name": info.name,
        "labels": info.labels,
        "sha256": info.sha256,
        "data": info.data,
        "runtime": f"{info.runtime} {info.runtime_version}",
        "threads": info.threads,
        "accuracy": info.accuracy and asdict(info.accuracy),
        "thumbnails": len(info.thumbnails.pictures) if info.thumbnails else 0,
    }
