"""Promises of bundle updates: whatever happens, what is current was verified and loads."""

import io
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from device.contract import bundle as contract
from device.update import slots
from tests.device.update.updating import Files, everything, install, tarred
from tests.support.cli import Call, assert_one_error_line
from tests.support.device.bundle_files import read_folder, resealed, tar_bytes
from tests.support.device.running_service import running, settings
from tests.support.peers.cameras import mjpeg_camera
from tests.support.timing import eventually

# --- what should happen -------------------------------------------------------------------------


def test_the_first_bundle_goes_into_slot_a(root: Path, files: Files) -> None:
    assert os.readlink(root / "current") == "slots/a"
    assert read_folder(root / "current") == files
    assert sorted(path.name for path in root.iterdir()) == ["confirmed", "current", "slots"]


def test_updates_take_turns_and_the_same_bundle_again_changes_nothing(
    root: Path, other: Files, tmp_path: Path, call: Call
) -> None:
    tar = tarred(tmp_path / "other.tar", other)
    status, output, _ = install(call, root, tar)
    assert (status, output.count("\n")) == (0, 1)
    assert output.startswith("installed: slots/b: other") and "passed on ai-edge-litert" in output
    assert read_folder(root / "current") == other
    before = everything(root)
    assert install(call, root, tar)[1].startswith("already current: slots/b")
    assert everything(root) == before


def test_rollback_goes_back_and_forth(
    root: Path, files: Files, other: Files, tmp_path: Path, call: Call
) -> None:
    install(call, root, tarred(tmp_path / "other.tar", other))
    assert call("slots", "rollback", "--root", root)[1].startswith("went back: slots/a: tiny")
    assert read_folder(root / "current") == files
    assert call("slots", "rollback", "--root", root)[0] == 0
    assert read_folder(root / "current") == other


def test_status_tells_both_slots(root: Path, call: Call) -> None:
    status, output, _ = call("slots", "status", "--root", root)
    assert status == 0
    assert output.startswith("* slots/a: tiny, commit ") and output.endswith("  slots/b: empty\n")
    first, second = json.loads(call("slots", "status", "--json", "--root", root)[1])
    assert (first["slot"], first["current"], first["problem"]) == ("a", True, "")
    manifest = json.loads((root / "slots/a" / contract.MANIFEST).read_bytes())
    assert first["manifest_sha256"] == manifest["manifest_sha256"]
    assert (second["current"], second["problem"], second["name"]) == (False, "empty", None)


def test_status_fails_where_nothing_whole_is_current(root: Path, call: Call) -> None:
    (root / "slots/a" / contract.LABELS).write_text("blue\n")
    status, output, _ = call("slots", "status", "--root", root)
    assert status == 1 and "* slots/a: labels.txt has 5 bytes" in output


def test_a_slot_can_be_read_by_the_service_s_user_whatever_the_umask(
    tmp_path: Path, files: Files, instant: None
) -> None:
    (tmp_path / "root").mkdir()
    tar = tarred(tmp_path / "first.tar", files)
    before = os.umask(0o077)
    try:
        slots.install(tar, tmp_path / "root")
    finally:
        os.umask(before)
    slot = tmp_path / "root/slots/a"
    assert slot.stat().st_mode & 0o777 == 0o755
    assert {path.stat().st_mode & 0o777 for path in slot.iterdir()} == {0o644}


def test_the_running_service_takes_the_new_slot_and_goes_back(
    root: Path, other: Files, tmp_path: Path, call: Call
) -> None:
    link = root / "current"
    with mjpeg_camera() as camera, running(tmp_path, settings(link, camera.url)) as service:
        eventually(lambda: bool(service.lines) and service.lines[-1]["label"] == "red")
        install(call, root, tarred(tmp_path / "other.tar", other))
        eventually(lambda: service.lines[-1]["label"] == "rouge")
        call("slots", "rollback", "--root", root)
        eventually(lambda: service.lines[-1]["label"] == "red")
        assert service.stop()[0] == 0


# --- attacks and mistakes -----------------------------------------------------------------------

Attack = Callable[[Files, Files], bytes]


def with_member(files: Files, member: tarfile.TarInfo, data: bytes = b"") -> bytes:
    """The files' tar with one more member at its end."""
    packed = io.BytesIO(tar_bytes(files))
    with tarfile.open(fileobj=packed, mode="a") as archive:
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    return packed.getvalue()


def linked(kind: bytes, to: str) -> Attack:
    """The labels are no file but a link."""

    def build(_files: Files, other: Files) -> bytes:
        member = tarfile.TarInfo(contract.LABELS)
        member.type, member.linkname = kind, to
        rest = {name: data for name, data in other.items() if name != contract.LABELS}
        return with_member(rest, member)

    return build


def renamed(_files: Files, other: Files) -> bytes:
    """The manifest says something else, and its digest what it said before."""
    manifest = other[contract.MANIFEST].replace(b'"other"', b'"OTHER"')
    return tar_bytes({**other, contract.MANIFEST: manifest})


def forged(name: str, change: Callable[[bytes], bytes]) -> Attack:
    """Every hash is right, and the file is not what it was."""
    return lambda _files, other: tar_bytes(resealed({**other, name: change(other[name])}))


def endless(_files: Files, other: Files) -> bytes:
    """A header that claims more than any disk has, in the place of a file."""
    member = tarfile.TarInfo(contract.LABELS)
    member.size = 8 * 1024**4
    rest = {name: data for name, data in other.items() if name != contract.LABELS}
    return member.tobuf(tarfile.GNU_FORMAT) + tar_bytes(rest)


ATTACKS: dict[str, tuple[Attack, str]] = {
    "nothing": (lambda _f, _o: b"", "not a whole bundle tar"),
    "no tar": (lambda _f, _o: b"#!/bin/sh\nreboot\n" * 99, "not a whole bundle tar"),
    "cut in the first header": (lambda _f, o: tar_bytes(o)[:300], "not a whole bundle tar"),
    "cut in the middle": (lambda _f, o: tar_bytes(o)[:100_000], "not a whole bundle tar"),
    "cut at its end": (lambda _f, o: tar_bytes(o)[: -12 * 1024], "not a whole bundle tar"),
    "a byte of the model flipped": (
        lambda _f, o: tar_bytes({**o, contract.MODEL: o[contract.MODEL][:-1] + b"\x99"}),
        "model_int8.tflite differs from the manifest",
    ),
    "a file left out": (
        lambda _f, o: tar_bytes({k: v for k, v in o.items() if k != contract.GOLDEN}),
        "golden.npz is missing",
    ),
    "no manifest": (
        lambda _f, o: tar_bytes({k: v for k, v in o.items() if k != contract.MANIFEST}),
        "manifest.json is missing",
    ),
    "files of two bundles": (
        lambda f, o: tar_bytes({**o, contract.LABELS: f[contract.LABELS]}),
        "labels.txt has",
    ),
    "the manifest of another": (
        lambda f, o: tar_bytes({**o, contract.MANIFEST: f[contract.MANIFEST]}),
        "labels.txt has",
    ),
    "an edited manifest": (renamed, "was edited or damaged"),
    "a newer schema": (lambda _f, o: tar_bytes(resealed(o, schema=3)), "update the device package"),
    "an older schema": (lambda _f, o: tar_bytes(resealed(o, schema=1)), "build it again"),
    "no schema": (lambda _f, o: tar_bytes(resealed(o, schema=None)), "no schema number"),
    "labels that are a link": (linked(tarfile.SYMTYPE, "/etc/passwd"), "labels.txt is missing"),
    "labels that are a hard link": (linked(tarfile.LNKTYPE, "../x"), "labels.txt is missing"),
    "labels that are a device": (linked(tarfile.CHRTYPE, ""), "labels.txt is missing"),
    "endless data": (endless, "not a whole bundle tar"),
    "a model of noise": (
        forged(contract.MODEL, lambda data: data[:64] + os.urandom(4096)),
        "nothing was changed",
    ),
    "a model cut short, hashes right": (
        forged(contract.MODEL, lambda data: data[: len(data) // 2]),
        "nothing was changed",
    ),
    "golden outputs that are no archive": (
        forged(contract.GOLDEN, lambda data: data[:99]),
        "nothing was changed",
    ),
    "labels of another number": (
        forged(contract.LABELS, lambda data: data + b"more\n"),
        "does not fit 4 labels",
    ),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_one_error_line_and_changes_nothing(
    name: str, root: Path, files: Files, other: Files, tmp_path: Path, call: Call
) -> None:
    attack, words = ATTACKS[name]
    path = tmp_path / "attack.tar"
    path.write_bytes(attack(files, other))
    before = everything(tmp_path)
    assert_one_error_line(install(call, root, path), words)
    assert everything(tmp_path) == before


@pytest.mark.parametrize("name", ["../../evil", "/tmp/evil-of-fieldguide", "slots/a/evil", "evil"])
def test_members_that_the_manifest_does_not_list_are_written_nowhere(
    name: str, root: Path, other: Files, tmp_path: Path, instant: None
) -> None:
    path = tmp_path / "attack.tar"
    path.write_bytes(with_member(other, tarfile.TarInfo(name), b"evil"))
    assert slots.install(path, root).changed
    assert read_folder(root / "current") == other
    assert (
        not [p for p in tmp_path.rglob("*evil*")] and not Path("/tmp/evil-of-fieldguide").exists()
    )


@pytest.mark.parametrize("action", ["install", "rollback", "status"])
def test_a_current_that_is_not_ours_is_left_alone(
    action: str, root: Path, tmp_path: Path, call: Call
) -> None:
    (root / "current").unlink()
    (root / "current").symlink_to(tmp_path)
    more = [tmp_path / "first.tar"] if action == "install" else []
    before = everything(tmp_path)
    run = call("slots", action, *more, "--root", root)
    assert_one_error_line(run, "does not link to slots/a or slots/b: move it away and try again")
    assert everything(tmp_path) == before


def test_a_slot_that_is_a_link_is_not_followed(
    root: Path, other: Files, tmp_path: Path, call: Call
) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "photo.jpg").write_bytes(b"the only one")
    (root / "slots/b").symlink_to(precious)
    before = everything(tmp_path)
    tar = tarred(tmp_path / "other.tar", other)
    assert_one_error_line(install(call, root, tar), "what was current still is")
    assert everything(tmp_path) == {**before, str(tar): tar.read_bytes()}


def test_rollback_refuses_an_empty_and_a_damaged_slot(
    root: Path, other: Files, tmp_path: Path, call: Call
) -> None:
    run = call("slots", "rollback", "--root", root)
    assert_one_error_line(run, "cannot go back to slots/b: empty")
    install(call, root, tarred(tmp_path / "other.tar", other))
    with (root / "slots/a" / contract.MODEL).open("r+b") as file:
        file.seek(1000)
        file.write(b"\x00\xff\x00\xff")
    run = call("slots", "rollback", "--root", root)
    assert_one_error_line(run, "cannot go back to slots/a: model_int8.tflite differs")
    assert read_folder(root / "current") == other


def test_a_damaged_current_slot_is_mended_by_the_next_update(
    root: Path, files: Files, tmp_path: Path, call: Call
) -> None:
    (root / "slots/a" / contract.MODEL).write_bytes(b"")
    assert install(call, root, tmp_path / "first.tar")[1].startswith("installed: slots/b: tiny")
    assert read_folder(root / "current") == files


def test_a_missing_root_and_a_missing_bundle_are_named(tmp_path: Path, call: Call) -> None:
    run = install(call, tmp_path, tmp_path / "none.tar")
    assert_one_error_line(run, "none.tar: no such bundle")
    run = call("slots", "rollback", "--root", tmp_path / "nowhere")
    assert_one_error_line(run, "nowhere: no such folder")
