"""What python-tuf's own client accepts of the folder, over HTTP, and what it must refuse."""

import json
from pathlib import Path
from typing import Any

import pytest
from securesystemslib.signer import CryptoSigner
from tuf.api.exceptions import (
    BadVersionNumberError,
    ExpiredMetadataError,
    LengthOrHashMismatchError,
    RepositoryError,
    UnsignedMetadataError,
)
from tuf.api.metadata import Metadata, Snapshot, TargetFile, Targets, Timestamp

from device.contract import bundle
from device.contract.release.naming import SIGNED_FIELD
from device.contract.release.rollout import Stage
from device.fleet.signing import roles
from device.fleet.signing.folder import Fleet
from device.fleet.signing.keys import Keyring
from device.fleet.signing.state import read
from tests.device.fleet.boards import Board
from tests.device.fleet.conftest import Good
from tests.support.device.tiny_bundle import TAR

DELEGATED = ("model-birds", "rollout", "software")
HOUR_S = 3600
ALL = (*roles.TOP, *DELEGATED)


def newest(fleet: Path, role: str) -> Path:
    folder = fleet / "public/metadata"
    if role == "timestamp":
        return folder / "timestamp.json"
    found = folder.glob(f"*.{role}.json")
    return max(found, key=lambda path: int(path.name.partition(".")[0]))


def test_a_board_gets_the_very_bytes_of_the_bundle(board: Board) -> None:
    release, files = board.release("birds", 1)
    assert files == bundle.read_files(TAR)
    assert release.about.startswith("tiny, commit ")
    assert release.files[0].packed


def test_a_release_is_offered_to_nobody_before_it_is_promoted(board: Board, good: Good) -> None:
    assert board.rollout().stage("all", "birds") is None
    good("promote", "--name=birds", "--percent=10")
    assert board.rollout().stage("garden", "birds") == Stage(1, 10)


def test_every_role_has_its_threshold_keys_and_time(fleet: Path) -> None:
    state = read(Fleet(fleet))
    found = {name: (len(state.keys(name)), state.role(name).threshold) for name in ALL}
    assert found == {
        "root": (3, 2),
        "targets": (2, 1),
        "snapshot": (1, 1),
        "timestamp": (1, 1),
        "rollout": (1, 1),
        "software": (2, 2),
        "model-birds": (1, 1),
    }
    for name, terms in (("root", 730), ("targets", 365), ("rollout", 30), ("timestamp", 14)):
        signed = state.signed(name)
        assert signed is not None
        assert terms - 1 <= (signed.expires - roles.now()).days <= terms


def test_all_metadata_says_when_it_was_signed(fleet: Path) -> None:
    for path in (fleet / "public/metadata").iterdir():
        signed = json.loads(path.read_bytes())["signed"]
        assert 0 <= roles.now().timestamp() - signed[SIGNED_FIELD] < HOUR_S


def test_no_private_key_is_in_what_is_served(fleet: Path) -> None:
    served = [path for path in (fleet / "public").rglob("*") if path.is_file()]
    assert served and not [path for path in served if b"PRIVATE" in path.read_bytes()]
    for path in (fleet / "keys").iterdir():
        assert path.stat().st_mode & 0o777 == 0o600
    assert (fleet / "keys").stat().st_mode & 0o777 == 0o700
    assert all(path.stat().st_mode & 0o777 == 0o644 for path in served)


@pytest.mark.parametrize("role", ALL)
def test_a_board_follows_a_change_of_any_roles_keys(board: Board, good: Good, role: str) -> None:
    board.updater()
    good("keys", f"--role={role}")
    board.updater()
    good("refresh")
    good("promote", "--name=birds", "--percent=20")
    assert board.rollout().stage("all", "birds") == Stage(1, 20)


@pytest.mark.parametrize("role", ALL)
def test_the_old_keys_of_a_role_sign_nothing_any_more(fleet: Path, good: Good, role: str) -> None:
    before = {key.keyid for key in read(Fleet(fleet)).keys(role)}
    good("keys", f"--role={role}")
    good("refresh")
    state = read(Fleet(fleet))
    assert not before & {key.keyid for key in state.keys(role)}
    if role != "root":
        named = {*state.root.signed.keys, *state.delegations.keys}
        assert not before & named


def test_a_board_follows_many_changes_of_root_that_it_slept_through(
    board: Board, good: Good
) -> None:
    board.updater()
    for role in ("root", "timestamp", "root", "targets", "snapshot", "root"):
        good("keys", f"--role={role}")
    board.release("birds", 1)
    fresh = Board(board.home.with_name("fresh"), board.root, board.url)
    fresh.release("birds", 1)


def test_a_gap_in_the_roots_keeps_boards_with_the_keys_that_they_know(
    board: Board, good: Good, fleet: Path
) -> None:
    board.updater()
    for _ in range(2):
        good("keys", "--role=timestamp")
    good("refresh")
    (fleet / "public/metadata/2.root.json").unlink()
    with pytest.raises(UnsignedMetadataError):
        board.updater()


def test_a_root_that_one_of_three_keys_signed_is_refused(
    board: Board, good: Good, fleet: Path
) -> None:
    board.updater()
    good("renew", "--role=root")
    path = newest(fleet, "root")
    root: Any = Metadata.from_bytes(path.read_bytes())
    root.signatures.popitem()
    path.write_bytes(root.to_bytes())
    with pytest.raises(UnsignedMetadataError):
        board.updater()


def forge(fleet: Path, role: str, signers: list[CryptoSigner], metadata: Metadata[Targets]) -> None:
    """Put metadata into the folder as a thief does who has the publisher's keys, and others."""
    state, keyring = read(Fleet(fleet)), Keyring([fleet / "keys"])
    metadata.signed.version = state.roles[role].signed.version + 1
    sign(metadata, signers)
    folder = fleet / "public/metadata"
    (folder / f"{metadata.signed.version}.{role}.json").write_bytes(metadata.to_bytes())
    assert state.snapshot is not None and state.timestamp is not None
    snapshot: Metadata[Snapshot] = state.snapshot
    timestamp: Metadata[Timestamp] = state.timestamp
    snapshot.signed.version += 1
    snapshot.signed.meta[f"{role}.json"].version = metadata.signed.version
    snapshot.signed.meta[f"{role}.json"].length = None
    snapshot.signed.meta[f"{role}.json"].hashes = None
    sign(snapshot, keyring.signers("snapshot", state.keys("snapshot"), 1))
    (folder / f"{snapshot.signed.version}.snapshot.json").write_bytes(snapshot.to_bytes())
    timestamp.signed.version += 1
    timestamp.signed.snapshot_meta.version = snapshot.signed.version
    timestamp.signed.snapshot_meta.length = None
    timestamp.signed.snapshot_meta.hashes = None
    sign(timestamp, keyring.signers("timestamp", state.keys("timestamp"), 1))
    (folder / "timestamp.json").write_bytes(timestamp.to_bytes())


def sign(metadata: Metadata[Any], signers: list[CryptoSigner]) -> None:
    metadata.signatures.clear()
    for signer in signers:
        metadata.sign(signer, append=True)


def test_software_that_one_of_two_keys_signed_is_refused(board: Board, fleet: Path) -> None:
    state = read(Fleet(fleet))
    one, _ = Keyring([fleet / "keys"]).signers("software", state.keys("software"), 2)
    software = state.roles["software"]
    path = "software/1/release.json"
    software.signed.targets[path] = TargetFile.from_data(path, b"{}", ["sha256"])
    forge(fleet, "software", [one], software)
    with pytest.raises(UnsignedMetadataError):
        board.updater().get_targetinfo(path)


@pytest.mark.parametrize("thief", ["rollout", "snapshot", "timestamp", "software", "targets"])
def test_whoever_stole_another_key_signs_no_model(board: Board, fleet: Path, thief: str) -> None:
    state = read(Fleet(fleet))
    stolen = Keyring([fleet / "keys"]).signers(thief, state.keys(thief), 1)
    model = state.roles["model-birds"]
    path = "birds/2/release.json"
    model.signed.targets[path] = TargetFile.from_data(path, b"{}", ["sha256"])
    forge(fleet, "model-birds", stolen, model)
    with pytest.raises(UnsignedMetadataError):
        board.updater().get_targetinfo(path)


@pytest.mark.parametrize(
    "path", ["frogs/1/release.json", "software/1/release.json", "rollout.json"]
)
def test_the_key_of_a_model_signs_releases_of_its_name_alone(
    board: Board, fleet: Path, path: str
) -> None:
    state = read(Fleet(fleet))
    signers = Keyring([fleet / "keys"]).signers("model-birds", state.keys("model-birds"), 1)
    model = state.roles["model-birds"]
    model.signed.targets[path] = forged = TargetFile.from_data(path, b"{}", ["sha256"])
    forge(fleet, "model-birds", signers, model)
    assert board.updater().get_targetinfo(path) != forged


def test_an_old_state_of_the_folder_is_refused(board: Board, good: Good, fleet: Path) -> None:
    old = (fleet / "public/metadata/timestamp.json").read_bytes()
    good("refresh")
    board.updater()
    (fleet / "public/metadata/timestamp.json").write_bytes(old)
    with pytest.raises(BadVersionNumberError):
        board.updater()


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets", "model-birds"])
def test_metadata_that_was_changed_by_a_byte_is_refused(
    board: Board, fleet: Path, role: str
) -> None:
    path = newest(fleet, role)
    path.write_bytes(path.read_bytes().replace(b'"expires":"2', b'"expires":"3', 1))
    with pytest.raises(RepositoryError):
        board.release("birds", 1)


def test_a_file_that_was_changed_by_a_byte_is_refused(board: Board, fleet: Path) -> None:
    (path,) = (fleet / "public/targets/birds/1").glob("*.labels.txt")
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(LengthOrHashMismatchError):
        board.release("birds", 1)


def test_a_fleet_that_nobody_refreshes_expires(
    board: Board, good: Good, monkeypatch: pytest.MonkeyPatch
) -> None:
    past = roles.now().replace(year=2025)
    monkeypatch.setattr("device.fleet.signing.roles.now", lambda: past)
    good("refresh")
    with pytest.raises(ExpiredMetadataError):
        board.updater()


def test_a_fleet_can_be_copied_to_any_address_and_still_holds(
    board: Board, fleet: Path, tmp_path: Path
) -> None:
    on_a_stick = Board(tmp_path / "other", board.root, str(fleet / "public"))
    assert on_a_stick.release("birds", 1)[1] == bundle.read_files(TAR)
