"""Promises of confirmed bundles: what was seen at work is there to go back to."""

from pathlib import Path

import pytest
from helpers import Call, assert_one_error_line, read_folder, resealed, write_folder

from device import bundle as contract
from device import slots

Files = dict[str, bytes]


@pytest.fixture(autouse=True)
def instant(monkeypatch: pytest.MonkeyPatch) -> None:
    """No self-test: these are about what comes after it."""
    monkeypatch.setattr(slots, "_tested", lambda _bundle: "no runtime")


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
        slots.install(tar, root)
        assert read_folder(root / "slots/a") == files
    assert read_folder(root / "current") == third
    slots.confirm(root)
    slots.install(write_folder(tmp_path / "d", other), root)
    assert (read_folder(root / "slots/b"), read_folder(root / "current")) == (third, other)


def test_revert_goes_to_what_was_seen_at_work_and_forgets_the_other(
    root: Path, files: Files, other: Files, tmp_path: Path, call: Call
) -> None:
    assert call("slots", "revert", "--root", root)[1] == "nothing to go back from\n"
    assert call("slots", "confirm", "--root", root)[1].startswith("confirmed: slots/a: tiny")
    slots.install(write_folder(tmp_path / "other", other), root)
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
    slots.install(write_folder(tmp_path / "c", resealed(other, name="third")), root)
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
    slots.install(write_folder(tmp_path / "b", other), root)
    (root / "slots/a" / contract.MODEL).write_bytes(b"")
    assert slots.revert(root) is None
    assert read_folder(root / "current") == other
