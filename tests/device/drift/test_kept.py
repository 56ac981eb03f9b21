"""What is known survives a restart as it was; what is damaged is refused, whatever it is."""

import json
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.drift import kept
from device.drift.monitor import Memory, Monitor
from device.drift.place import Place
from device.errors import DriftStateError
from tests.support.device.drifting import CLASSES, live

OWNER = "of these tests"


def after(days: int) -> Memory:
    monitor = Monitor(CLASSES)
    live(monitor, 0, days)
    return monitor.memory


@pytest.fixture(scope="module", params=[0, 3, 9])
def memory(request: pytest.FixtureRequest) -> Memory:
    return after(request.param)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("whole") / "state"
    kept.write(path, OWNER, after(8))
    return path.read_bytes()


def same(one: object, other: object) -> bool:
    """Whether two records are equal, arrays and all."""
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other, equal_nan=one.dtype != bool)
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if hasattr(one, "__dataclass_fields__"):
        return all(same(getattr(one, name), getattr(other, name)) for name in vars(one))
    return one == other


def test_what_is_read_is_what_was_written(memory: Memory, tmp_path: Path) -> None:
    path = tmp_path / "state"
    kept.write(path, OWNER, memory)
    assert same(kept.read(path, OWNER), memory)


def test_a_day_goes_on_after_a_restart_as_if_there_had_been_none(tmp_path: Path) -> None:
    path = tmp_path / "state"
    through, restarted = Monitor(CLASSES), Monitor(CLASSES)
    live(through, 0, 9)
    for day in range(10):
        live(restarted, day, day)
        kept.write(path, OWNER, restarted.memory)
        restarted = Monitor(CLASSES, kept.read(path, OWNER))
    assert same(restarted.memory, through.memory)


def test_what_is_known_of_the_place_is_kept(tmp_path: Path) -> None:
    foreign = replace(after(0), place=Place(60.0, 55.0, True, "2026-11-02"))
    kept.write(tmp_path / "state", OWNER, foreign)
    assert kept.read(tmp_path / "state", OWNER).place == foreign.place


@pytest.mark.parametrize("counts", [(1.0, 2.0), (-1.0, -2.0), (float("nan"), 0.0)])
def test_a_place_that_cannot_be_is_refused(tmp_path: Path, counts: tuple[float, float]) -> None:
    kept.write(tmp_path / "state", OWNER, replace(after(0), place=Place(*counts)))
    with pytest.raises(DriftStateError, match="damaged"):
        kept.read(tmp_path / "state", OWNER)


def test_the_file_is_small(tmp_path: Path) -> None:
    path = tmp_path / "state"
    kept.write(path, OWNER, after(6))
    assert path.stat().st_size < 200_000


def test_a_memory_of_another_bundle_or_camera_is_refused(tmp_path: Path, whole: bytes) -> None:
    path = tmp_path / "state"
    path.write_bytes(whole)
    with pytest.raises(DriftStateError, match="another bundle or camera"):
        kept.read(path, "of another")
    assert kept.read(path, None).judge is not None


def test_nothing_kept_is_not_the_same_as_damaged(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        kept.read(tmp_path / "state", OWNER)


@given(length=st.integers(0, 10_000))
@settings(max_examples=50, deadline=None)
def test_a_file_cut_short_anywhere_is_refused(
    whole: bytes, tmp_path_factory: pytest.TempPathFactory, length: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "cut"
    path.write_bytes(whole[: min(length, len(whole) - 1)])
    with pytest.raises(DriftStateError, match=r"damaged|version"):
        kept.read(path, OWNER)


@given(place=st.integers(0, 10**6), value=st.integers(1, 255))
@settings(max_examples=100, deadline=None)
def test_a_flipped_byte_is_noticed_or_harmless(
    whole: bytes, tmp_path_factory: pytest.TempPathFactory, place: int, value: int
) -> None:
    changed = bytearray(whole)
    changed[place % len(whole)] ^= value
    path = tmp_path_factory.getbasetemp() / "flipped"
    path.write_bytes(changed)
    try:
        memory = kept.read(path, OWNER)
    except DriftStateError:
        return
    # In a date, say: what follows must still work.
    live(Monitor(CLASSES, memory), 9, 9)


def test_arrays_that_are_larger_when_opened_are_refused(tmp_path: Path, whole: bytes) -> None:
    import hashlib

    head = json.loads(whole.partition(b"\n")[0])
    data = zlib.compress(bytes(50 * 2**20))
    head["sha256"] = hashlib.sha256(data).hexdigest()
    head["arrays"] = {"labels": [50 * 2**18]}
    path = tmp_path / "state"
    path.write_bytes(json.dumps(head).encode() + b"\n" + data)
    with pytest.raises(DriftStateError, match="damaged"):
        kept.read(path, OWNER)


def leaves(value: Any, *path: str | int) -> Iterator[tuple[str | int, ...]]:
    """The places of the numbers and words in a JSON object; of lists, those of the last element."""
    if not isinstance(value, dict | list):
        yield path
        return
    for key, inner in value.items() if isinstance(value, dict) else ((-1, v) for v in value[-1:]):
        yield from leaves(inner, *path, key)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "wrong",
    [np.nan, np.inf, -np.inf, pytest.param(10**400, id="huge"), 1e308, -1, True, None, "x", []],
)
def test_a_number_that_is_none_is_damage_or_harmless_wherever_it_stands(
    whole: bytes, tmp_path: Path, wrong: Any
) -> None:
    head, _, data = whole.partition(b"\n")
    for *way, last in leaves(json.loads(head)):
        record = place = json.loads(head)
        for key in way:
            place = place[key]
        place[last] = wrong
        (tmp_path / "state").write_bytes(json.dumps(record).encode() + b"\n" + data)
        try:
            status = Monitor(CLASSES, kept.read(tmp_path / "state", OWNER)).status()
        except DriftStateError:
            continue
        # What no browser could read would hide all the rest.
        json.dumps(status.record(), allow_nan=False)


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_counts_that_cannot_be_are_refused(tmp_path: Path, value: float) -> None:
    memory = after(1)
    memory.today.counts[0, 0, 0] = value
    path = tmp_path / "state"
    kept.write(path, OWNER, memory)
    with pytest.raises(DriftStateError, match="damaged"):
        kept.read(path, OWNER)
