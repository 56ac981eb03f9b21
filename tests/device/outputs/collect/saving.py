"""A sink that saves frames into a folder of a test, and frames for it."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from device.contract.folders import photos_below
from device.outputs.collect.moments import RandomMoments
from device.outputs.collect.sink import Collector
from device.settings.sections import CollectConfig
from device.telemetry.counters import Telemetry
from device.telemetry.observation import ModelInfo, Observation
from tests.support.pictures import LABELS, picture

MODEL = ModelInfo("tiny", LABELS, "ab" * 32, "test", "none", "0", 1, None, 0.0)
CONFIG = CollectConfig(enabled=True, max_per_minute=600, random_per_day=0, min_free_mb=0)
STATUS = Telemetry("a test").snapshot()
"""Of a service in which nothing watches for change."""


class EveryFrame(RandomMoments):
    """Every frame belongs to a random moment."""

    def takes(self, captured_s: float) -> bool:
        return True


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


def random_collector(folder: Path, **changes: Any) -> Collector:
    """A sink for which every frame belongs to a random moment."""
    return Collector(replace(CONFIG, path=str(folder), **changes), moments=EveryFrame(12))


def noise(number: int, side_px: int = 240) -> Observation:
    """An observation whose picture hardly shrinks as a JPEG."""
    pixels = np.random.default_rng(number).integers(0, 256, (side_px, side_px, 3), np.uint8)
    return observed(number, picture=pixels, crop_box=(0, 0, side_px, side_px))


def saved(folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in photos_below(folder)]


def publish_all(sink: Collector, count: int, **changes: Any) -> None:
    for number in range(count):
        sink._next_save_s, sink._recent = float("-inf"), []
        sink.publish(observed(number, **changes))
