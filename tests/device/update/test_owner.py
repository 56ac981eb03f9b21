"""Promises of root's work in the folder of the service's user: no link there leads it away."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from device.errors import SlotError
from device.update import slots
from device.update.owner import acting_as_owner
from tests.support.device.bundle_files import read_folder

NOBODY = 65534


@pytest.fixture
def owned() -> Iterator[Path]:
    """A folder of another user's, as the service's is, which that user can get to."""
    if os.geteuid() != 0:
        pytest.skip("only root can work in another user's folder")
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        folder = Path(name) / "state"
        folder.mkdir(mode=0o750)
        os.chown(folder, NOBODY, NOBODY)
        yield folder


def ids() -> tuple[object, ...]:
    return (*os.getresuid(), *os.getresgid(), tuple(os.getgroups()))


def test_root_is_the_owner_for_a_while_and_no_longer(owned: Path) -> None:
    before = ids()
    with pytest.raises(KeyError), acting_as_owner(owned):
        assert (os.geteuid(), os.getegid(), os.getgroups()) == (NOBODY, NOBODY, [NOBODY])
        raise KeyError
    assert ids() == before
    with acting_as_owner(owned.parent):
        assert ids() == before


def test_root_fills_slots_that_the_service_can_clear(owned: Path, tiny_bundle: Path) -> None:
    before = ids()
    assert slots.install(tiny_bundle, owned).changed
    assert {path.lstat().st_uid for path in owned.rglob("*")} == {NOBODY}
    assert ids() == before


@pytest.mark.parametrize("name", ["labels.txt", "model_int8.tflite", "manifest.json"])
def test_root_is_led_nowhere_by_links_that_the_service_s_user_lays(
    name: str, owned: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While root fills it, the folder is exchanged for one that links to a file of root's."""
    monkeypatch.setattr(slots, "_tested", lambda *_: "not run here")
    victim = owned.parent / "shadow"
    victim.write_text("root:secret")
    victim.chmod(0o600)
    sync, fresh = os.fsync, owned / "slots/new"

    def attacked(number: int) -> None:
        sync(number)
        if not (owned / "slots/stolen").exists():
            fresh.rename(owned / "slots/stolen")
            fresh.mkdir(mode=0o777)
            for file in read_folder(tiny_bundle):
                (fresh / file).symlink_to(victim)

    monkeypatch.setattr(os, "fsync", attacked)
    with pytest.raises(SlotError, match="Permission denied"):
        slots.install(tiny_bundle, owned)
    assert victim.read_text() == "root:secret" and victim.stat().st_mode & 0o777 == 0o600


def test_root_removes_nothing_through_a_link(
    owned: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slots, "_tested", lambda *_: "not run here")
    slots.install(tiny_bundle, owned)
    precious = owned.parent / "precious"
    precious.mkdir()
    (precious / "b").mkdir()
    (precious / "b" / "file").write_text("the only one")
    (owned / "slots").rename(owned / "taken")
    (owned / "slots").symlink_to(precious)
    for act in (slots.status, slots.revert, slots.rollback, slots.confirm):
        try:
            act(owned)
        except SlotError:
            continue
    with pytest.raises(SlotError):
        slots.install(tiny_bundle, owned)
    assert [path.name for path in precious.rglob("*")] == ["b", "file"]
