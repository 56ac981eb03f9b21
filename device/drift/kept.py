"""What is known of drift in a file, so that restarts and updates forget nothing.

The file is one line of JSON and then arrays, compressed. A kill while it is written leaves the old
one. What is damaged, or of another model or camera, is forgotten.
"""

import hashlib
import json
import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from device.drift.day import HOURS, Day
from device.drift.judge import FAMILIES, LEARN_DAYS, Judge
from device.drift.monitor import KEPT_DAYS, Memory
from device.drift.place import Place
from device.drift.sample import BINS, CELLS, NAMES, STATISTICS
from device.drift.status import DayStatus
from device.errors import DriftStateError
from device.files import read_headed, write_bytes

SCHEMA = 4
MAX_BYTES = 4 * 2**20
"""Most of the file, and of its arrays."""
COUNTS = (HOURS, len(STATISTICS), BINS)
LAYOUTS = (HOURS, CELLS)
MOST_A_DAY = 10**6
"""More moments than a day has, and more than their scores add up to."""
LITTLE = "<f4"
"""32-bit floats in the same order of bytes everywhere."""

Named = dict[str, npt.NDArray[np.float32]]


def write(path: Path, owner: str, memory: Memory) -> None:
    """Keep a memory; a kill or a power cut leaves a whole file, this one or the old one.

    Args:
        path: of the file.
        owner: what it belongs to, such as a hash of model and camera.
        memory: what is known.

    Raises:
        OSError: if it cannot be written.
    """
    arrays = dict(_arrays(memory))
    data = zlib.compress(b"".join(each.astype(LITTLE).tobytes() for each in arrays.values()), 1)
    head = {
        "fieldguide": SCHEMA,
        "owner": owner,
        "layout": [NAMES, *COUNTS, *LAYOUTS],
        "sha256": hashlib.sha256(data).hexdigest(),
        "arrays": {name: list(each.shape) for name, each in arrays.items()},
        "learning": [_day_record(day) for day in memory.learning],
        "today": _day_record(memory.today),
        "days": [asdict(day) for day in memory.days],
        "since": memory.since,
        "why": memory.why,
        "place": asdict(memory.place),
    }
    write_bytes(path, json.dumps(head).encode() + b"\n" + data)


def read(path: Path, owner: str | None) -> Memory:
    """Read what was kept.

    Args:
        path: of the file.
        owner: what it must belong to; None: anything.

    Raises:
        DriftStateError: if it is damaged, or of another owner or version.
        FileNotFoundError: if nothing was kept yet.
    """
    head, data = read_headed(path, MAX_BYTES, DriftStateError)
    if head.get("fieldguide") != SCHEMA or head.get("layout") != [list(NAMES), *COUNTS, *LAYOUTS]:
        raise DriftStateError(f"{path}: it is of another version")
    if owner is not None and head.get("owner") != owner:
        raise DriftStateError(f"{path}: it is of another bundle or camera")
    if head.get("sha256") != hashlib.sha256(data).hexdigest():
        raise DriftStateError(f"{path}: damaged")
    try:
        return _memory(head, _unpacked(head["arrays"], data))
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError, zlib.error) as error:
        raise DriftStateError(f"{path}: damaged") from error


def _arrays(memory: Memory) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    days = {"today": memory.today}
    days |= {f"learning{index}": day for index, day in enumerate(memory.learning)}
    for name, day in days.items():
        yield f"{name}.counts", day.counts
        yield f"{name}.layouts", day.layouts
        yield f"{name}.labels", day.labels
    yield "labels", memory.labels
    if memory.judge is not None:
        for name, value in vars(memory.judge).items():
            yield f"judge.{name}", np.asarray(value)


def _day_record(day: Day) -> dict[str, Any]:
    return {"date": day.date, "score_sum": day.score_sum}


def _unpacked(shapes: Mapping[str, Sequence[int]], data: bytes) -> Named:
    """The arrays by name; raises ValueError if they are not what the head says."""
    opened = zlib.decompressobj()
    raw = opened.decompress(data, MAX_BYTES)
    sizes = [math.prod(map(int, shape)) for shape in shapes.values()]
    if opened.unconsumed_tail or min(sizes, default=0) < 0 or sum(sizes) * 4 != len(raw):
        raise ValueError("arrays of other sizes")
    values = np.frombuffer(raw, LITTLE).astype(np.float32)
    ends = np.cumsum(sizes)[:-1]
    named = zip(shapes.items(), np.split(values, ends), strict=True)
    return {name: part.reshape(shape) for (name, shape), part in named}


def _memory(head: Mapping[str, Any], arrays: Named) -> Memory:
    learning = [_day(f"learning{i}", one, arrays) for i, one in enumerate(head["learning"])]
    since, why = (tuple(map(str, head[name])) for name in ("since", "why"))
    days = tuple(_day_status(one) for one in head["days"])
    if {len(since), len(why)} != {len(FAMILIES)} or len(learning) >= LEARN_DAYS:
        raise ValueError("lists of other lengths")
    if len(days) > KEPT_DAYS:
        raise ValueError("too many days")
    return Memory(
        today=_day("today", head["today"], arrays),
        learning=tuple(learning),
        judge=_judge(arrays),
        labels=_checked(arrays["labels"], None),
        days=days,
        since=since,
        why=why,
        place=_place(head["place"]),
    )


def _day(name: str, record: Mapping[str, Any], arrays: Named) -> Day:
    return Day(
        str(record["date"]),
        _checked(arrays[f"{name}.counts"], COUNTS),
        _checked(arrays[f"{name}.layouts"], LAYOUTS, lowest=None),
        _checked(arrays[f"{name}.labels"], None),
        _count(record, "score_sum"),
    )


def _place(record: Mapping[str, Any]) -> Place:
    answers, beyond = float(record["answers"]), float(record["beyond"])
    if not 0 <= beyond <= answers < np.inf:
        raise ValueError("no counts")
    alarm, accepted = record["alarm"] is True, record["accepted"] is True
    return Place(answers, beyond, alarm, str(record["since"]), accepted)


def _day_status(record: Mapping[str, Any]) -> DayStatus:
    levels = tuple(float(level) for level in record["levels"])
    if len(levels) != len(FAMILIES) or not np.isfinite(levels).all():
        raise ValueError("no levels")
    return DayStatus(
        date=str(record["date"]),
        levels=levels,
        moments=int(_count(record, "moments")),
        answers=int(_count(record, "answers")),
        accepted=int(_count(record, "accepted")),
        score_sum=_count(record, "score_sum"),
    )


def _count(record: Mapping[str, Any], name: str) -> float:
    """A figure of a day; raises ValueError where no day has it: what is told must be a number."""
    found = float(record[name])
    if not 0 <= found <= MOST_A_DAY:
        raise ValueError("no count of a day")
    return found


def _judge(arrays: Named) -> Judge | None:
    if "judge.counts" not in arrays:
        return None
    names, families = (len(NAMES),), (len(FAMILIES),)
    usual = arrays["judge.usual"]
    if usual.shape != names:
        raise ValueError("another shape")
    return Judge(
        counts=_checked(arrays["judge.counts"], COUNTS),
        layouts=_checked(arrays["judge.layouts"], LAYOUTS, lowest=None),
        # Not a number where there was too little to tell.
        usual=usual,
        spread=_checked(arrays["judge.spread"], names),
        level=_checked(arrays["judge.level"], families),
        alarm=_checked(arrays["judge.alarm"], families) > 0,
        quiet=_checked(arrays["judge.quiet"], families).astype(np.int32),
    )


def _checked(
    array: npt.NDArray[np.float32], shape: tuple[int, ...] | None, lowest: float | None = 0.0
) -> npt.NDArray[np.float32]:
    """The array; raises ValueError if it is of another shape, or not of numbers from `lowest`."""
    fits = array.ndim == 1 if shape is None else array.shape == shape
    if not fits or not np.isfinite(array).all():
        raise ValueError("another shape, or no numbers")
    if lowest is not None and array.min(initial=lowest) < lowest:
        raise ValueError("less than possible")
    return array
