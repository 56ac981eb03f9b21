"""Promises of the cached activations: right, resumed, bounded, never half a file."""

import shutil
import time
from collections import namedtuple
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from train.errors import BuildFolderError
from train.network.cache import (
    CHUNK,
    SPARE_BYTES,
    adopt,
    cached,
    keep_first_views,
    keep_only,
)

SHAPE = (2, 2, 5)
ROW_BYTES = 2 * 2 * 5 * 2
COUNT = 3 * CHUNK + 7

Usage = namedtuple("Usage", "total used free")


def row(number: int, computed: list[int]) -> npt.NDArray[np.float16]:
    """Five numbers for each quarter of a picture."""
    computed.append(number)
    return np.random.default_rng(number).normal(0, 1, SHAPE).astype(np.float16)


@dataclass(frozen=True)
class Rows:
    """The task of computing rows, which notes those that were computed."""

    function: Callable[[int, list[int]], npt.NDArray[np.float16]]
    computed: list[int]

    def setup(self) -> Callable[[int], npt.NDArray[np.float16]]:
        return lambda number: self.function(number, self.computed)


def run(
    path: Path,
    computed: list[int],
    count: int = COUNT,
    function: Callable[[int, list[int]], npt.NDArray[np.float16]] = row,
) -> npt.NDArray[np.float16]:
    return cached(path, Rows(function, computed), range(count), SHAPE, "testing")


@pytest.fixture
def expected() -> npt.NDArray[np.float16]:
    return np.stack([row(number, []) for number in range(COUNT)])


@pytest.mark.parametrize("count", [1, CHUNK - 1, CHUNK, CHUNK + 1, COUNT])
def test_each_photo_has_its_row_in_order(
    tmp_path: Path, expected: npt.NDArray[np.float16], count: int
) -> None:
    computed: list[int] = []
    rows = run(tmp_path / "a.f16", computed, count)
    assert rows.dtype == np.float16
    assert np.array_equal(rows, expected[:count])
    assert sorted(computed) == list(range(count))
    assert [path.name for path in tmp_path.iterdir()] == ["a.f16"]


def test_a_second_run_computes_nothing(tmp_path: Path) -> None:
    computed: list[int] = []
    first = np.array(run(tmp_path / "a.f16", computed))
    computed.clear()
    assert np.array_equal(run(tmp_path / "a.f16", computed), first)
    assert not computed


def test_the_cache_cannot_be_changed_by_its_readers(tmp_path: Path) -> None:
    rows = run(tmp_path / "a.f16", [])
    with pytest.raises(ValueError, match="read-only"):
        rows[0] = 0


@pytest.mark.parametrize("written", [0, 1, ROW_BYTES - 1, ROW_BYTES, 40 * ROW_BYTES + 3])
def test_a_killed_run_goes_on_to_the_same_bytes(tmp_path: Path, written: int) -> None:
    whole = run(tmp_path / "whole.f16", []).tobytes()
    (tmp_path / "a.part").write_bytes(whole[:written])
    computed: list[int] = []
    run(tmp_path / "a.f16", computed)
    assert (tmp_path / "a.f16").read_bytes() == whole
    assert sorted(computed) == list(range(written // ROW_BYTES, COUNT))


def test_an_error_midway_keeps_what_is_done_and_no_half_file(tmp_path: Path) -> None:
    def fail_in_third_chunk(number: int, computed: list[int]) -> npt.NDArray[np.float16]:
        if number == 2 * CHUNK + 3:
            raise KeyboardInterrupt
        return row(number, computed)

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "a.f16", [], function=fail_in_third_chunk)
    assert not (tmp_path / "a.f16").exists()
    assert (tmp_path / "a.part").stat().st_size == 2 * CHUNK * ROW_BYTES
    assert np.array_equal(run(tmp_path / "a.f16", []), run(tmp_path / "b.f16", []))


def test_an_error_does_not_wait_for_the_rows_that_follow(tmp_path: Path) -> None:
    def fail_first(number: int, computed: list[int]) -> npt.NDArray[np.float16]:
        if number == 0:
            raise KeyboardInterrupt
        time.sleep(0.02)
        return row(number, computed)

    computed: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "a.f16", computed, function=fail_first)
    assert len(computed) < CHUNK


def test_a_file_of_another_size_is_made_anew(tmp_path: Path) -> None:
    whole = run(tmp_path / "a.f16", []).tobytes()
    (tmp_path / "a.f16").write_bytes(whole[:-1])
    run(tmp_path / "a.f16", [])
    assert (tmp_path / "a.f16").read_bytes() == whole


def test_a_part_with_more_rows_than_photos_is_cut(tmp_path: Path) -> None:
    whole = run(tmp_path / "whole.f16", []).tobytes()
    (tmp_path / "a.part").write_bytes(whole + b"\0" * 5 * ROW_BYTES)
    run(tmp_path / "a.f16", [])
    assert (tmp_path / "a.f16").read_bytes() == whole


def test_too_full_a_disk_is_refused_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed = COUNT * ROW_BYTES + SPARE_BYTES
    free = needed - 1
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, free))
    computed: list[int] = []
    with pytest.raises(BuildFolderError, match="free space") as caught:
        run(tmp_path / "a.f16", computed)
    assert str(tmp_path) in str(caught.value)
    assert not computed and not list(tmp_path.iterdir())
    free = needed
    run(tmp_path / "a.f16", computed)
    assert len(computed) == COUNT


def test_only_what_is_missing_must_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = run(tmp_path / "whole.f16", []).tobytes()
    (tmp_path / "a.part").write_bytes(whole[: -2 * ROW_BYTES])
    free = 2 * ROW_BYTES + SPARE_BYTES
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, free))
    run(tmp_path / "a.f16", [])
    assert (tmp_path / "a.f16").read_bytes() == whole


def names(folder: Path) -> Sequence[str]:
    return sorted(path.name for path in folder.iterdir())


def test_caches_of_other_settings_are_removed(tmp_path: Path) -> None:
    for name in ("new.f16", "new2.part", "old.f16", "old.part", "run.state.npz", "notes.txt"):
        (tmp_path / name).write_bytes(b"x")
    keep_only(tmp_path, {"new.f16", "new2.f16"})
    assert names(tmp_path) == ["new.f16", "new2.part", "notes.txt", "run.state.npz"]


def test_a_folder_that_is_not_there_needs_no_cleaning(tmp_path: Path) -> None:
    keep_only(tmp_path / "none", set())
    assert not (tmp_path / "none").exists()


def test_what_another_training_has_cached_is_not_computed_again(tmp_path: Path) -> None:
    own, other = tmp_path / "own", tmp_path / "other"
    whole, computed = run(other / "a.f16", []).tobytes(), list[int]()
    (other / "b.part").write_bytes(whole[:ROW_BYTES])
    (other / "run.state.npz").write_bytes(b"x")
    adopt(own, [tmp_path / "none", other])
    assert names(own) == ["a.f16", "run.state.npz"]
    assert run(own / "a.f16", computed).tobytes() == whole and not computed
    # Both have it, and neither needs the other one any more.
    assert (own / "a.f16").stat().st_ino == (other / "a.f16").stat().st_ino
    shutil.rmtree(other)
    assert run(own / "a.f16", computed).tobytes() == whole and not computed


def test_what_is_cached_already_stays(tmp_path: Path) -> None:
    own, other = tmp_path / "own", tmp_path / "other"
    for folder in (own, other):
        folder.mkdir()
        (folder / "a.f16").write_text(folder.name)
    adopt(own, [other])
    assert (own / "a.f16").read_text() == "own"


def test_a_finished_training_keeps_what_makes_it_quick_to_repeat(tmp_path: Path) -> None:
    for name in ("k_train_first", "k_train_12ab", "k_val_first"):
        (tmp_path / f"{name}.f16").write_bytes(b"x")
    (tmp_path / "k.state.npz").write_bytes(b"x")
    keep_first_views(tmp_path)
    assert names(tmp_path) == ["k.state.npz", "k_train_first.f16", "k_val_first.f16"]
    keep_first_views(tmp_path / "none")
