"""A sink that saves frames into a folder of a test, and frames for it."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from device.contract.folders import photos_below
from device.outputs.collect.sink import Collector
from device.settings.sections import CollectConfig
from device.telemetry.observation import ModelInfo, Observation
from tests.support.pictures import LABELS, picture

MODEL = ModelInfo("tiny", LABELS, "ab" * 32, "test", "none", "0", 1, 0.0, 0.0)
CONFIG = CollectConfig(enabled=True, max_per_minute=600, min_free_mb=0)


def observed(
    number: int = 0, scores: Iterable[float] = (0.5, 0.45, 0.05), **changes: Any
) -> Observation:
    values = np.array(list(scores), np.float32)
    pixels = picture(number % 3, number, 64, 48)
    first = Observation(
        number=number,
        unix_s=1_780_000_000.0 + number,
        monotonic_s=float(number),
        source=f"camera#{number}",
        scores=values,
        smoothed=values,
        label=LABELS[int(values.argmax())],
        score=float(values.max()),
        top=(),
        changed=False,
        model=MODEL,
        invoke_s=0.0,
        overhead_s=0.0,
        latency_s=0.0,
        picture=pixels,
        crop_box=(8, 0, 56, 48),
    )
    return replace(first, **changes)


def collector(folder: Path, **changes: Any) -> Collector:
    return Collector(replace(CONFIG, path=str(folder), **changes))


def saved(folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in photos_below(folder)]


def publish_all(sink: Collector, count: int, **changes: Any) -> None:
    for number in range(count):
        sink._next_save_s, sink._recent = float("-inf"), []
        sink.publish(observed(number, **changes))
