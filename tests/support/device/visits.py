"""Visits without a camera."""

import random
import time

from device.visits.visit import Visit, new_id

JPEG = b"\xff\xd8 a picture"


def visit(start_s: float | None = None, label: str = "wren", **more: object) -> Visit:
    start_s = time.time() if start_s is None else start_s
    fields: dict[str, object] = {
        "id": new_id(start_s, f"{random.getrandbits(24):06x}"),
        "start_unix_s": round(start_s, 3),
        "end_unix_s": round(start_s, 3) + 12.5,
        "label": label,
        "score": 0.87,
        "top": (("wren", 0.87), ("robin", 0.1)),
        "frames": 31,
        "box": (10, 20, 110, 120),
        "best_unix_s": round(start_s, 3) + 3,
        "picture": JPEG,
    }
    return Visit(**{**fields, **more})  # type: ignore[arg-type]
