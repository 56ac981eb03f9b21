"""Promises of confirmed bundles: what was seen at work is there to go back to."""

import errno
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from device.contract import bundle as contract
from device.errors import BundleError, SlotError
from device.update import slots
from tests.support.cli import Call, assert_one_error_line
from tests.support.device.bundle_files import read_folder, resealed, write_folder
from tests.support.places import ROOT

Files = dict[str, bytes]


@pytest.fixture(autouse=True)
def instant(monkeypatch: pytest.MonkeyPatch) -> None:
    """No self-test: these are about what comes after it."""
    monkeypatch.setattr(slots, "_tested", lambda *_: "no runtime")


@pytest.fixture
def files(tiny_bundle: Path) -> Files:
    return read_folder(tiny_bundle)


@pytest.fixture
def other(files: Files) -> Files:
    """Another bundle of the same model."""
    return resealed({**files, contract.LABELS: b"rouge\nvert\nbleu\n"}, name="other")


@pytest.fixture
def root(tmp_path: Path, tiny_bundle: Path) -> Path:
    """A root with a bundle in slot a."""
    path = tmp_path / "root"
    path.mkdir()
    slots.install(tiny_bundle, path)
    return path


def test_an_update_that_was_never_seen_at_work_is_the_one_that_the_next_replaces(
    root: Path, files: Files, other: Files, tmp_path: Path
) -> None:
    slots.confirm(root)
    third = resealed({**files, contract.LABELS: b"1\n2\n3\n"})
    for tar in (write_folder(tmp_path / "b", other), write_folder(tmp_path / "c", third)):
        slots.install(tar, root, trial=True)
        assert read_folder(root / "slots/a") == files
    assert read_folder(root / "current") == third
    slots.confirm(root)
    slots.install(write_folder(tmp_path / "d", other), root, trial=True)
    assert (read_folder(root / "slots/b"), read_folder(root / "current")) == (third, other)


def test_revert_goes_to_what_was_seen_at_work_and_forgets_the_other(
    root: Path, files: Files, other: Files, tmp_path: Path, call: Call
) -> None:
    assert call("slots", "revert", "--root", root)[1] == "nothing to go back from\n"
    assert call("slots", "confirm", "--root", root)[1].startswith("confirmed: slots/a: tiny")
    tar = write_folder(tmp_path / "other", other)
    assert call("slots", "install", "--trial", tar, "--root", root)[0] == 0
    assert call("slots", "revert", "--root", root)[1].startswith("went back: slots/a: tiny")
    assert read_folder(root / "current") == files
    assert_one_error_line(call("slots", "rollback", "--root", root), "cannot go back to slots/b")
    assert call("slots", "revert", "--root", root)[1] == "nothing to go back from\n"


def test_whoever_rolls_back_keeps_what_he_went_back_to(
    root: Path, files: Files, other: Files, tmp_path: Path
) -> None:
    slots.install(write_folder(tmp_path / "b", other), root)
    slots.confirm(root)
    slots.rollback(root)
    slots.install(write_folder(tmp_path / "c", resealed(other, name="third")), root, trial=True)
    assert slots.revert(root) is not None
    assert read_folder(root / "current") == files


def test_nothing_whole_cannot_be_confirmed(root: Path, call: Call, tmp_path: Path) -> None:
    (root / "current" / contract.MODEL).write_bytes(b"")
    assert_one_error_line(call("slots", "confirm", "--root", root), "nothing to confirm: ")
    (tmp_path / "empty").mkdir()
    said = call("slots", "confirm", "--root", tmp_path / "empty")
    assert_one_error_line(said, "no slot is current")
    assert_one_error_line(call("slots", "status", "--root", tmp_path / "none"), "no such folder")


def test_a_confirmed_slot_that_was_damaged_is_no_way_back(
    root: Path, other: Files, tmp_path: Path
) -> None:
    slots.confirm(root)
    slots.install(write_folder(tmp_path / "b", other), root, trial=True)
    (root / "slots/a" / contract.MODEL).write_bytes(b"")
    assert slots.revert(root) is None
    assert read_folder(root / "current") == other


# --- what a person installed ------------------------------------------------------------------


def test_what_a_person_installed_outlives_a_deployment_that_fails_anywhere(
    root: Path, files: Files, other: Files, tmp_path: Path
) -> None:
    slots.confirm(root)
    slots.install(write_folder(tmp_path / "b", other), root)
    assert slots.revert(root) is None, "a deployment failed before it installed anything"
    assert read_folder(root / "current") == other
    third = resealed({**files, contract.LABELS: b"1\n2\n3\n"})
    slots.install(write_folder(tmp_path / "c", third), root, trial=True)
    assert slots.revert(root) is not None, "and one failed after it"
    assert read_folder(root / "current") == other


def test_a_second_bundle_installed_by_hand_leaves_the_first_to_go_back_to(
    root: Path, files: Files, other: Files, tmp_path: Path
) -> None:
    slots.confirm(root)
    third = resealed({**files, contract.LABELS: b"1\n2\n3\n"})
    slots.install(write_folder(tmp_path / "b", other), root)
    slots.install(write_folder(tmp_path / "c", third), root)
    assert read_folder(root / "current") == third
    slots.rollback(root)
    assert read_folder(root / "current") == other


def test_revert_without_a_current_slot_deletes_nothing(
    root: Path, files: Files, other: Files, tmp_path: Path
) -> None:
    slots.confirm(root)
    slots.install(write_folder(tmp_path / "b", other), root, trial=True)
    (root / "current").unlink()
    assert slots.revert(root) is not None
    assert read_folder(root / "current") == read_folder(root / "slots/a") == files
    assert read_folder(root / "slots/b") == other


def test_revert_with_nothing_confirmed_and_nothing_current_does_nothing(
    root: Path, files: Files
) -> None:
    for name in ("current", "confirmed"):
        (root / name).unlink()
    assert slots.revert(root) is None
    assert read_folder(root / "slots/a") == files


def test_a_disk_that_fills_leaves_what_is_current_though_it_is_not_confirmed(
    root: Path, files: Files, other: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slots.confirm(root)
    slots.install(write_folder(tmp_path / "b", other), root, trial=True)

    def full(_folder: Path, _files: Files) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(slots, "_write_folder", full)
    third = resealed({**files, contract.LABELS: b"1\n2\n3\n"})
    for trial in (True, False):
        with pytest.raises(SlotError, match="what was current still is"):
            slots.install(write_folder(tmp_path / f"c{trial}", third), root, trial=trial)
        assert read_folder(root / "current") == other
        assert slots.named(root, slots.CONFIRMED) == "a"


def test_installing_what_is_tried_by_hand_keeps_it(
    root: Path, other: Files, tmp_path: Path
) -> None:
    tar = write_folder(tmp_path / "b", other)
    slots.install(tar, root, trial=True)
    assert not slots.install(tar, root).changed
    assert slots.revert(root) is None and read_folder(root / "current") == other


def test_a_disk_that_fails_later_is_told_with_what_is_current_then(
    root: Path, files: Files, other: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slots.install(write_folder(tmp_path / "b", other), root, trial=True)

    def fails(_folder: Path, **_: object) -> None:
        if _folder.name == "b":
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(shutil, "rmtree", fails)
    with pytest.raises(SlotError, match=r"Input/output error; now slots/a is current$"):
        slots.install(write_folder(tmp_path / "c", resealed(files, name="third")), root)
    assert read_folder(root / "current") == files


# --- what the service has seen at work --------------------------------------------------------


def test_an_update_that_worked_for_a_while_is_confirmed_by_the_service(
    root: Path, other: Files, tmp_path: Path
) -> None:
    slots.confirm(root)
    slots.install(write_folder(tmp_path / "b", other), root, trial=True)
    runs = contract.load(root / "current").manifest["files"][contract.MODEL]["sha256"]
    assert not slots.confirm_running(root / "slots/b", runs), "not the link that is current"
    assert not slots.confirm_running(root / "current", "another model")
    assert slots.named(root, slots.CONFIRMED) == "a"
    assert slots.confirm_running(root / "current", runs)
    assert slots.named(root, slots.CONFIRMED) == "b"
    assert slots.revert(root) is None


# --- any order ---------------------------------------------------------------------------

COMMANDS = ("install", "install --trial", "confirm", "revert", "rollback", "status")


@pytest.mark.slow
@given(
    commands=st.lists(
        st.sampled_from([*COMMANDS, "no current", "no confirmed"]), min_size=1, max_size=8
    )
)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_order_of_commands_loses_the_bundle_that_is_to_be_kept(
    commands: list[str], tiny_bundle: Path, files: Files
) -> None:
    """Whatever was whole and confirmed before a command is whole somewhere after it."""
    with TemporaryDirectory() as name:
        root = Path(name) / "root"
        root.mkdir()
        slots.install(tiny_bundle, root)
        for number, command in enumerate(commands):
            kept = slots._confirmed(root)
            digest = kept and digest_of(root, kept)
            act(root, command, files, number)
            if kept and command in ("install --trial", "confirm", "revert", "status"):
                assert digest in {digest_of(root, slot.name) for slot in slots.status(root)}
            if kept and command == "revert":
                assert digest_of(root, slots.CURRENT) == digest


def act(root: Path, command: str, files: Files, number: int) -> None:
    if command.startswith("no "):
        (root / command.removeprefix("no ")).unlink(missing_ok=True)
        return
    verb, _, option = command.partition(" ")
    if verb == "install":
        bundle = write_folder(root.parent / f"b{number}", resealed(files, name=f"bundle {number}"))
        slots.install(bundle, root, trial=bool(option))
        return
    with suppress(SlotError):
        getattr(slots, verb)(root)


def digest_of(root: Path, slot: str) -> str:
    folder = root / slot if slot == slots.CURRENT else root / "slots" / slot
    try:
        return str(contract.load(folder).manifest["manifest_sha256"])
    except BundleError:
        return ""


# --- whose folder it is -----------------------------------------------------------------------

SOMEBODY = 65534


def as_root(root: Path, *arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    start = "import sys; from device.update import slots; slots._tested = lambda *_: 'none'; "
    start += "from device.__main__ import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", start, "slots", *map(str, arguments), "--root", str(root)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can stop being root")
def test_root_works_in_the_service_s_folder_as_the_service_s_user(
    tmp_path: Path, other: Files, root: Path
) -> None:
    """So it follows no link that this user put there, and leaves no file of its own."""
    tar = write_folder(tmp_path / "b", other)
    tmp_path.chmod(0o700)
    state = Path(tempfile.mkdtemp())
    try:
        shutil.copytree(root, state / "root", symlinks=True)
        state.chmod(0o755)
        victim = state / "victim"
        victim.write_text("root's own")
        victim.chmod(0o600)
        for path in [state / "root", *(state / "root").rglob("*")]:
            os.chown(path, SOMEBODY, SOMEBODY, follow_symlinks=False)
        done = as_root(state / "root", "install", tar)
        assert done.returncode == 0, done.stderr
        made = [state / "root", *(state / "root").rglob("*")]
        assert {path.lstat().st_uid for path in made} == {SOMEBODY}
        # A link where the next update will write: it is not followed with root's rights.
        (state / "root/slots").rename(state / "root/before")
        (state / "root/slots").symlink_to("/etc")
        done = as_root(state / "root", "install", tar)
        assert done.returncode != 0 and done.stderr.startswith("error: ")
        assert victim.read_text() == "root's own" and not Path("/etc/new").exists()
    finally:
        shutil.rmtree(state)
