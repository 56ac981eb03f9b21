"""Promises of a worker on a node: nothing done is done again, and nothing done is lost."""

import errno
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from device.errors import ClusterError, PhotoError
from device.workstation.engine.kept import Kept, packed
from device.workstation.engine.worker import MOST_TRIES, Part, Worker

pytest.importorskip("fsspec", reason="fsspec is not installed here: see `make test-scale`")
SIZE = 4
PART = Part(number=2, first=5, count=3, size=SIZE)
ITEMS = list(range(20, 31))
"""Two whole chunks and a short one."""
LAST = {5: [40, 42, 44, 46], 6: [48, 50, 52, 54], 7: [56, 58, 60]}


@dataclass(frozen=True)
class Doubling:
    """A task that may be interrupted."""

    stops_at: int = -1
    error: BaseException = field(default_factory=KeyboardInterrupt)

    def setup(self) -> Callable[[int], int]:
        return self.of

    def of(self, item: int) -> int:
        if item == self.stops_at:
            raise self.error
        return 2 * item


def kept(folder: Path | str, task: Doubling | None = None, probe: Any = None) -> Kept:
    made = Kept(str(folder), "key")
    made.write_task((task or Doubling(), probe))
    made.write_items(PART.number, ITEMS)
    return made


def results(of: Kept) -> dict[int, Any]:
    return {chunk: of.results(chunk) for chunk in of.done()}


@pytest.mark.parametrize("bucket", [False, True])
def test_each_chunk_is_kept_with_its_results(tmp_path: Path, bucket: bool) -> None:
    of = kept(f"memory://{tmp_path.name}" if bucket else tmp_path)
    report = Worker(of, str(tmp_path)).report(PART)
    assert report.error is None and report.computed == len(ITEMS) and not report.unwritten
    assert results(of) == LAST
    of.remove()
    assert of.done() == set()


def test_what_a_dead_worker_has_done_is_not_done_again(tmp_path: Path) -> None:
    of = kept(tmp_path, Doubling(stops_at=26))
    with pytest.raises(KeyboardInterrupt):
        Worker(of, str(tmp_path)).report(PART)
    assert results(of) == {5: LAST[5]}
    report = Worker(kept(tmp_path), str(tmp_path)).report(PART)
    assert report.computed == len(ITEMS) - SIZE and results(of) == LAST


def test_a_chunk_is_never_there_in_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of = kept(tmp_path)

    def cut_short(path: Path, data: bytes) -> int:
        with path.open("wb") as file:
            file.write(data[:3])
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_bytes", cut_short)
    with pytest.raises(KeyboardInterrupt):
        of.write_done(5, packed([1]))
    assert of.done() == set()


def test_a_full_disk_of_one_node_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of, whole = kept(tmp_path), Path.write_bytes

    def full(path: Path, data: bytes) -> int:
        if path.parent.name == "done" and path.name.startswith("000000006"):
            raise OSError(errno.ENOSPC, "No space left on device")
        return whole(path, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    report = Worker(of, str(tmp_path)).report(PART)
    monkeypatch.undo()
    assert report.error is None and results(of) == {5: LAST[5], 7: LAST[7]}
    for chunk, data in report.unwritten:
        of.write_done(chunk, data)
    assert results(of) == LAST


def test_items_at_which_one_worker_after_the_other_dies_are_named(tmp_path: Path) -> None:
    of = kept(tmp_path, Doubling(stops_at=26))
    for _ in range(MOST_TRIES):
        with pytest.raises(KeyboardInterrupt):
            Worker(of, str(tmp_path)).report(PART)
    error = Worker(of, str(tmp_path)).report(PART).error
    assert isinstance(error, ClusterError) and "the last at one of 24 to 27" in str(error)
    # Another run begins anew.
    of.forget_begun()
    assert Worker(kept(tmp_path), str(tmp_path)).report(PART).error is None


def test_an_error_for_people_is_told_with_the_node(tmp_path: Path) -> None:
    of = kept(tmp_path, Doubling(26, PhotoError("shard-3.tar: cannot be read")))
    error = Worker(of, str(tmp_path)).report(PART).error
    assert str(error).startswith("shard-3.tar: cannot be read (said by the node ")


def test_what_the_node_cannot_reach_stops_it_before_any_item(tmp_path: Path) -> None:
    def probe() -> None:
        raise PhotoError("/photos/a.jpg: no such file")

    of = Kept(str(tmp_path), "key")
    error = Worker(of, str(tmp_path)).report(PART).error
    assert str(tmp_path) in str(error) and "RAY_STORE=" in str(error)
    worker = Worker(of, str(tmp_path))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Kept, "task", lambda self: (Doubling(), probe))
        error = worker.report(PART).error
    assert str(error).startswith("/photos/a.jpg: no such file (said by the node ")
    assert of.done() == set()
