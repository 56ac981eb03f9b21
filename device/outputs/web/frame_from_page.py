"""Restores a frame that a page still holds but the service has forgotten, from the page's data.

The service forgets a frame when it restarts, or when its viewer sleeps; the page still shows it.
"""

import base64
import io
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

from device.contract.arrays import Pixels
from device.contract.look.rules import Seen
from device.telemetry.observation import ModelInfo, Observation

MAX_SIDE_PX = 1280
"""Largest side of the pictures that pages get."""
MAX_TEXT_CHARACTERS = 500
_LAST_S = 4_102_444_800.0
"""The year 2100: later times are invalid."""


def restore(state: Any, picture: Any) -> Observation | None:
    """An observation to save; None if no page can have had this data.

    Args:
        state: the page's copy of `view.frame_record`.
        picture: the JPEG that came with it, in Base64.
    """
    try:
        return _observation(state, _pixels(base64.b64decode(picture, validate=True)))
    except (
        ArithmeticError,
        LookupError,
        TypeError,
        ValueError,
        OSError,
        SyntaxError,
        Image.DecompressionBombError,
    ):
        return None


def _pixels(data: bytes) -> Pixels:
    image = Image.open(io.BytesIO(data), formats=("JPEG",))
    if max(image.size) > MAX_SIDE_PX:
        raise ValueError("larger than the pictures that pages get")
    return np.asarray(image.convert("RGB"))


def _observation(state: Mapping[str, Any], pixels: Pixels) -> Observation:
    height, width = pixels.shape[:2]
    left, upper, right, lower = (min(1.0, max(0.0, float(side))) for side in state["crop"])
    box = (round(left * width), round(upper * height), round(right * width), round(lower * height))
    if box[0] >= box[2] or box[1] >= box[3]:
        raise ValueError("an empty crop")
    top = tuple((_text(name), _number(score, 1.0)) for name, score in state["top"])
    scores = np.array([score for _, score in top], np.float32)
    unix_s = _number(state["time"], _LAST_S)
    return Observation(
        number=int(_number(state["frame"], 1e18)),
        unix_s=unix_s,
        # The real value is from before a restart; this only has to differ from other frames'.
        monotonic_s=-unix_s,
        source=_text(state["source"]),
        scores=scores,
        smoothed=scores,
        label=_text(state["label"]),
        score=_number(state["score"], 1.0),
        top=top,
        changed=False,
        model=_model(tuple(name for name, _ in top), _text(state["model_sha256"])),
        invoke_s=0.0,
        overhead_s=0.0,
        latency_s=0.0,
        picture=pixels,
        crop_box=box,
        seen=None if state["seen"] is None else Seen(state["seen"]),
        changed_permille=int(_number(state["changed_permille"], 1000)),
    )


def _model(labels: tuple[str, ...], sha256: str) -> ModelInfo:
    return ModelInfo(
        name="",
        labels=labels,
        sha256=sha256,
        data="",
        runtime="",
        runtime_version="",
        threads=0,
        limit=None,
        checked_invoke_s=0.0,
    )


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > MAX_TEXT_CHARACTERS:
        raise ValueError("not a short text")
    return value


def _number(value: Any, most: float) -> float:
    number = float(value)
    if not 0 <= number <= most or not math.isfinite(number):
        raise ValueError("not a number in its range")
    return number
