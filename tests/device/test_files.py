"""Whole files or the old ones, whatever cuts the writing short."""

import os
import stat
from pathlib import Path

import pytest

from device.files import SECRET, UNFINISHED, replacing, write_bytes, write_text


@pytest.mark.parametrize("fault", [KeyboardInterrupt, OSError, SystemExit])
def test_writing_that_is_cut_short_leaves_the_old_file_alone(
    fault: type[BaseException], tmp_path: Path
) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(b"old")
    with pytest.raises(fault), replacing(path, durable=True) as part:
        part.write_bytes(b"half")
        raise fault
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["a.npz"]


def test_an_unfinished_file_is_hidden_and_has_the_suffix_of_the_whole_one(tmp_path: Path) -> None:
    with replacing(tmp_path / "model.keras") as part:
        part.write_bytes(b"new")
        assert part.name.startswith(".") and part.suffix == ".keras" and part.parent == tmp_path
        assert not (tmp_path / "model.keras").exists()
    assert (tmp_path / "model.keras").read_bytes() == b"new"


def test_a_secret_file_is_nobody_elses_from_its_first_byte_on(tmp_path: Path) -> None:
    left = tmp_path / f"{UNFINISHED}key"
    left.write_bytes(b"of a run that was killed")
    left.chmod(0o644)
    with replacing(tmp_path / "key", mode=SECRET) as part:
        assert part.read_bytes() == b"" and stat.S_IMODE(part.stat().st_mode) == SECRET
        part.write_bytes(b"secret")
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == SECRET


def test_a_mode_does_not_depend_on_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        write_bytes(tmp_path / "a", b"", mode=0o644)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o644


def test_a_durable_file_is_on_the_disk_before_its_name_and_then_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[str, bool]] = []
    real = os.fsync

    def fsync(number: int) -> None:
        name = Path(os.readlink(f"/proc/self/fd/{number}")).name
        synced.append((name, (tmp_path / "a").exists()))
        real(number)

    monkeypatch.setattr(os, "fsync", fsync)
    write_bytes(tmp_path / "a", b"kept", durable=True)
    assert synced == [(f"{UNFINISHED}a", False), (tmp_path.name, True)]


def test_what_need_not_outlive_a_power_cut_waits_for_no_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: pytest.fail("waited for the disk"))
    write_text(tmp_path / "a", "ä")
    assert (tmp_path / "a").read_bytes() == b"\xc3\xa4"
