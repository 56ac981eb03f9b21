"""Photos as devices save them, sorted into folders, and what a bundle would say about them."""

import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from convert.field.photos import FieldPhoto
from convert.field.record import Figure, JudgedPhoto, Promise
from device.contract.provenance import RANDOM, Provenance
from device.workstation.measures import wilson
from tests.support.pictures import LABELS, encoded, picture

START = datetime(2026, 11, 3, 8, tzinfo=UTC)
DAILY = 12 / 86400
"""The probability of 12 moments a day."""
PROMISE = Promise(0.87, (0.81, 0.92), 150, 150, False, 0.05, None, None)


def provenance(
    seconds: float = 0.0,
    device: str = "garden",
    reason: str = RANDOM,
    probability: float | None = DAILY,
    top: Mapping[str, float] | None = None,
    model: str = "0" * 64,
) -> Provenance:
    """The record of a photo, taken some time after `START`."""
    time = (START + timedelta(seconds=seconds)).isoformat(timespec="milliseconds")
    return Provenance(reason, "red", top or {"red": 0.9}, time, device, model, "0", probability)


def save(
    folder: Path, name: str, record: Provenance | None, label: int = 0, index: int = 0
) -> Path:
    """Write a picture of a class with a record; `name` has the folder it is sorted into."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    options = {} if record is None else {"exif": record.exif("Fieldguide test")}
    path.write_bytes(encoded(picture(label, index), "JPEG", quality=95, **options))
    return path


def sorted_photos(folder: Path, per_class: int = 4, gap_s: float = 3600.0) -> Path:
    """A folder with some photos of each class of the tiny bundle, each an event of its own."""
    for number in range(per_class * len(LABELS)):
        label = number % len(LABELS)
        name = f"{LABELS[label]}/{number:03}.jpg"
        save(folder, name, provenance(number * gap_s), label, 500 + number)
    return folder


def listed(
    path: str, record: Provenance | None, *, sha256: str = "", folder: str = "red"
) -> FieldPhoto:
    """A photo that was read from a folder."""
    return FieldPhoto(Path(path), path, folder, sha256 or path, record)


def judged(
    number: int,
    *,
    right: bool = True,
    event: str = "",
    probability: float = DAILY,
    label: str = "red",
    device: str = "garden",
    day: int = 0,
    unknown: bool = False,
) -> JudgedPhoto:
    """A photo with an answer, by default a right one."""
    taken = START + timedelta(days=day, seconds=number)
    return JudgedPhoto(
        path=f"{label}/{number}.jpg",
        sha256=f"{number:064}",
        device=device,
        time=taken.isoformat(timespec="milliseconds"),
        day=taken.date().isoformat(),
        event=event or f"{device} {number}",
        probability=probability,
        label=label,
        seen=None,
        box=None,
        predicted=label if right else "blue",
        score=0.9,
        unknown=unknown,
        named="",
    )


def seen(share: float, events: int) -> Figure:
    """A figure of so many independent photos."""
    return Figure(events, events, float(events), share, wilson(share, events))


def promise(**changes: Any) -> Promise:
    return replace(PROMISE, **changes)


def simulated(rng: np.random.Generator, days: int) -> tuple[list[JudgedPhoto], float]:
    """A field with a known truth: two cameras that see and are sampled differently.

    Visits come at random; within one the answers are mostly alike. Both cameras run all the time.

    Returns:
        Photos of the moments that were drawn, and the true share of time with a right answer.
    """
    photos: list[JudgedPhoto] = []
    right_s = seen_s = 0.0
    for device, accuracy, per_day in (("shade", 0.6, 24), ("sun", 0.95, 96)):
        chance = -math.expm1(-per_day / 86400)
        for visit in range(rng.poisson(40 * days)):
            length_s = int(rng.integers(60, 1200))
            hits = np.where(
                rng.random(length_s) < 0.7, rng.random() < accuracy, rng.random(length_s) < accuracy
            )
            right_s, seen_s = right_s + hits.sum(), seen_s + length_s
            for second in np.flatnonzero(rng.random(length_s) < chance):
                photos.append(
                    judged(
                        len(photos),
                        right=bool(hits[second]),
                        event=f"{device} {visit}",
                        probability=chance,
                        device=device,
                    )
                )
    return photos, right_s / seen_s
