"""Promises of a folder of releases on a stick: read like a server's, and missed without alarm."""

import hashlib
import os
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from device.doctor.finding import OK, WARNING
from device.doctor.releases import releases
from device.errors import UnreachableError, UpdateError
from device.telemetry.updates import UpdateStatus
from device.update.command import lines
from device.update.trust import stick as on_stick
from device.update.trust.fetch import NotThereError, Wanted
from device.update.trust.stick import Stick
from tests.device.update.releases.conftest import Medium, Scene
from tests.support.device.board import Files, offer
from tests.support.device.release_stick import ReleaseStick, plugged

DATA = bytes(range(256)) * 4000
WANTED = Wanted("targets/file", len(DATA), hashlib.sha256(DATA).hexdigest())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What is on a stick."""
    for name in ("metadata", "targets"):
        (tmp_path / "fleet" / name).mkdir(parents=True)
    (tmp_path / "fleet/targets/file").write_bytes(DATA)
    return tmp_path / "fleet"


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    (tmp_path / "kept").mkdir()
    return tmp_path / "kept"


@pytest.fixture
def stick(folder: Path) -> Stick:
    return Stick(folder.as_uri())


class Pulled:
    """A file of a stick that is pulled out after so many bytes."""

    def __init__(self, number: int, left_bytes: int) -> None:
        self._file, self._left_bytes = os.fdopen(number, "rb", buffering=0), left_bytes

    def __enter__(self) -> "Pulled":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def read(self, most_bytes: int) -> bytes:
        if self._left_bytes <= 0:
            raise OSError(5, "Input/output error")
        piece = self._file.read(min(most_bytes, self._left_bytes))
        self._left_bytes -= len(piece)
        return piece


def pull_after(left_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        on_stick, "open", lambda number, *_, **__: Pulled(number, left_bytes), raising=False
    )


def test_a_file_is_copied_once(stick: Stick, folder: Path, kept: Path) -> None:
    assert stick.fetch(WANTED, kept).read_bytes() == DATA
    shutil.rmtree(folder)
    assert stick.fetch(WANTED, kept).read_bytes() == DATA
    assert [path.name for path in kept.iterdir()] == [WANTED.sha256]


def test_a_copy_that_was_cut_short_goes_on_where_it_stopped(
    stick: Stick, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pull_after(300_000, monkeypatch)
    with pytest.raises(UnreachableError, match="Input/output error"):
        stick.fetch(WANTED, kept)
    monkeypatch.undo()
    (part,) = kept.iterdir()
    assert part.stat().st_size == 300_000
    # No more than the rest is read.
    pull_after(len(DATA) - 300_000 + 1, monkeypatch)
    assert stick.fetch(WANTED, kept).read_bytes() == DATA


@pytest.mark.parametrize("left", [b"garbage" * 100, b"\0" * len(DATA), DATA + b"x"])
def test_what_a_power_cut_left_broken_is_copied_again(
    left: bytes, stick: Stick, kept: Path
) -> None:
    (kept / f"{WANTED.sha256}.part").write_bytes(left)
    with pytest.raises(UnreachableError, match="not what was signed"):
        stick.fetch(WANTED, kept)
    assert stick.fetch(WANTED, kept).read_bytes() == DATA


def test_a_file_that_grows_while_it_is_read_is_cut_off(
    stick: Stick, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(on_stick, "_size_bytes", lambda _: 1)
    shorter = Wanted(WANTED.name, 1000, WANTED.sha256)
    with pytest.raises(UnreachableError, match="longer than was signed"):
        stick.fetch(shorter, kept)
    with pytest.raises(UnreachableError, match="longer than 1,000 bytes"):
        stick.read(WANTED.name, 1000)
    assert all(path.stat().st_size <= 1000 for path in kept.iterdir())


def test_a_missing_file_is_told_apart(stick: Stick) -> None:
    with pytest.raises(NotThereError):
        stick.read("metadata/2.root.json", 100)


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _link(path: Path) -> None:
    path.symlink_to("/etc/hostname")


def _zeros(path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can make a device")
    os.mknod(path, 0o20644, os.makedev(1, 5))


@pytest.mark.parametrize("make", [_pipe, _link, Path.mkdir, _zeros])
def test_what_is_no_file_makes_nobody_wait_and_leads_nowhere(
    make: Any, stick: Stick, folder: Path, kept: Path
) -> None:
    (folder / "targets/file").unlink()
    make(folder / "targets/file")
    for read in (lambda: stick.fetch(WANTED, kept), lambda: stick.read(WANTED.name, 100)):
        with pytest.raises(UpdateError, match=r"not a file|a link"):
            read()


def test_a_folder_that_is_a_link_is_not_followed(stick: Stick, folder: Path) -> None:
    (folder / "targets").rename(folder.parent / "elsewhere")
    (folder / "targets").symlink_to(folder.parent / "elsewhere")
    with pytest.raises(UpdateError, match="a link, which is not followed"):
        stick.read(WANTED.name, len(DATA))


@pytest.mark.parametrize(
    "name", ["targets/../../fleet/targets/file", "/etc/hostname", "a//b", ".."]
)
def test_a_name_that_leaves_the_folder_is_refused(name: str, stick: Stick) -> None:
    with pytest.raises(UpdateError, match="leads out"):
        stick.read(name, len(DATA))


def test_the_folder_itself_may_be_a_link_of_the_owner_s(stick: Stick, folder: Path) -> None:
    own = folder.with_name("own")
    own.symlink_to(folder)
    assert Stick(own.as_uri()).read(WANTED.name, len(DATA)) == DATA


# --- a board whose releases come by a stick -------------------------------------------------------


@pytest.fixture
def medium() -> Medium:
    return plugged


def pull(scene: Scene) -> None:
    """Nobody plugs it in again before the test says so."""
    assert isinstance(scene.server, ReleaseStick)
    scene.server.pull()
    scene.board.before = lambda: None


def plug_in(scene: Scene) -> None:
    assert isinstance(scene.server, ReleaseStick)
    scene.server.fill()


def is_waiting(status: UpdateStatus) -> bool:
    waits = status.waits.startswith("the stick: there is no folder metadata in /")
    return waits and not status.problem and not status.software.problem


def test_a_stick_that_is_not_there_is_waited_for_and_no_problem(scene: Scene) -> None:
    pull(scene)
    status = scene.board.turn()
    assert is_waiting(status) and status.installed == 1
    assert scene.board.running() == scene.honest
    assert sum("the stick" in line for line in lines(status)) == 1
    # A year later that is still so, and nobody is alarmed.
    scene.board.clock.pass_by(days=365)
    assert is_waiting(scene.board.turn()) and not scene.board.checks.frozen
    (found,) = releases(scene.board.config)
    assert found.state == OK and "waits for the stick" in found.found


def test_a_stick_that_was_never_there_is_a_line_of_the_doctor(scene: Scene) -> None:
    pull(scene)
    scene.board.settings(url="file:///media/misspelt")
    scene.board.turn()
    (found,) = releases(scene.board.config)
    assert found.state == WARNING and "/media/misspelt" in found.found
    assert "update.url" in found.fix


def test_a_stick_is_looked_at_as_soon_as_it_is_plugged_in(scene: Scene, second: Files) -> None:
    pull(scene)
    scene.board.turn()
    offer(scene.fleet, second, 2)
    scene.board.clock.pass_by(seconds=60)
    assert scene.board.fetch(forced=False).latest == 1
    plug_in(scene)
    assert scene.board.fetch(forced=False).latest == 2
    # And then no more often than a server is asked.
    offer(scene.fleet, second, 3)
    plug_in(scene)
    assert scene.board.fetch(forced=False).latest == 2


def test_a_stick_that_is_pulled_out_while_it_is_read_leaves_the_old_release(
    scene: Scene, second: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(scene.fleet, second, 2)
    plug_in(scene)
    scene.board.before = lambda: None
    read = Pulled.read

    def read_and_pull(file: Pulled, most_bytes: int) -> bytes:
        try:
            return read(file, most_bytes)
        except OSError:
            pull(scene)
            raise

    monkeypatch.setattr(Pulled, "read", read_and_pull)
    for left_bytes in (0, 200, 1500, 3000):
        pull_after(left_bytes, monkeypatch)
        status = scene.board.turn()
        assert is_waiting(status), (left_bytes, status)
        assert scene.board.running() == scene.honest and scene.board.progress.taken == 1
        plug_in(scene)
    monkeypatch.undo()
    scene.board.turn()
    assert scene.board.progress.taken == 2 and not scene.board.checks.away


def test_a_folder_that_the_fetcher_may_not_read_is_a_problem_with_its_cure(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> int:
        raise PermissionError(13, "Permission denied")

    scene.board.before = lambda: None
    with monkeypatch.context() as patched:
        patched.setattr(on_stick, "os", SimpleNamespace(**{**vars(os), "open": refused}))
        scene.board.fetch()
    assert "mount the stick below /media" in scene.board.checks.problem
    scene.board.fetch()
    assert not scene.board.checks.problem
