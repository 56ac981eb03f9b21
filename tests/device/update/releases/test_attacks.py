"""Attacks on boards that fetch releases: each is refused, and does no lasting harm.

The server is real, on loopback; so is the updater. What an attacker has is said in each test. Each
attack is made once more by the folder on a stick.
"""

import json
import os
from datetime import timedelta
from pathlib import Path

import pytest

from device.contract import bundle as contract
from device.contract.release.naming import PACKED
from tests.device.update.releases.conftest import Medium, Scene, old_files
from tests.support.device.board import Files, offer, release, roll_out
from tests.support.device.fleet import Fleet
from tests.support.device.release_server import Pointing, body, endless, serving
from tests.support.device.release_stick import plugged

NOT_METADATA = [b"", b"{}", b"[" * 15000, b"\xff" * 100, b'{"signed": {"_type": "root"}}', b"null"]


@pytest.fixture(params=[serving, plugged], ids=["server", "stick"])
def medium(request: pytest.FixtureRequest) -> Medium:
    brings: Medium = request.param
    return brings


def test_what_is_honestly_published_is_taken(scene: Scene, second: Files) -> None:
    scene.accepts(second)


# --- older metadata than was seen: no keys, only the server ---------------------------------------


def test_an_older_timestamp_is_refused(scene: Scene, evil: Files, second: Files) -> None:
    old = (scene.fleet.public / "metadata/timestamp.json").read_bytes()
    scene.fleet.publish()
    scene.refuses()
    scene.server.lies["timestamp.json"] = body(old)
    scene.refuses("version")
    scene.accepts(second)


@pytest.mark.parametrize("role", ["snapshot", "targets", "model-birds", "rollout"])
def test_older_metadata_under_a_newer_name_is_refused(
    role: str, scene: Scene, second: Files
) -> None:
    old = old_files(scene.fleet)[f"{scene.fleet.metadata(role).signed.version}.{role}.json"]
    offer(scene.fleet, second, 2)
    if role == "targets":
        scene.fleet.publish("targets")
    version = scene.fleet.metadata(role).signed.version
    scene.server.lies[f"{version}.{role}.json"] = body(old)
    scene.refuses()
    scene.accepts(second)


def test_an_older_root_under_a_newer_name_is_refused(scene: Scene, second: Files) -> None:
    scene.server.lies["2.root.json"] = body(scene.fleet.first_root)
    scene.refuses("version")
    scene.accepts(second)


# --- time stands still ----------------------------------------------------------------------------


def test_a_server_that_shows_only_the_past_is_found_by_the_clock(
    scene: Scene, second: Files
) -> None:
    scene.board.clock.pass_by(days=15)
    status = scene.refuses("expired")
    assert status.expired
    scene.fleet.now += timedelta(days=17)
    scene.accepts(second)


def test_a_server_that_shows_only_the_past_is_found_without_a_clock(
    scene: Scene, second: Files
) -> None:
    clock = scene.board.clock
    clock.synchronized = False
    for _ in range(5):
        clock.pass_by(days=5)
        clock.now = clock.now.replace(year=1970)
        status = scene.refuses()
    assert status.frozen
    scene.accepts(second)
    assert not scene.board.checks.frozen


@pytest.mark.parametrize(
    "role", ["root", "timestamp", "snapshot", "targets", "model-birds", "rollout"]
)
def test_expired_metadata_of_any_role_is_refused(role: str, scene: Scene, second: Files) -> None:
    past = scene.fleet.now - timedelta(days=1)
    release(scene.fleet, second, number=2)
    roll_out(scene.fleet, 2)
    if role == "root":
        scene.fleet.root.signed.version += 1
    scene.fleet.next("targets", "model-birds", "rollout")
    scene.fleet.metadata(role).signed.expires = past
    scene.fleet.write()
    assert scene.refuses("expired").expired
    if role == "root":
        scene.fleet.root.signed.version += 1
        scene.fleet.root.signed.expires = scene.fleet.now + timedelta(days=700)
    scene.fleet.publish("targets")
    scene.accepts(second, 3)


# --- a lying server or stick, without any key -----------------------------------------------------


def test_parts_of_two_moments_are_not_mixed(scene: Scene, second: Files) -> None:
    """The rollout of today with the releases of yesterday."""
    before = old_files(scene.fleet)
    offer(scene.fleet, second, 2)
    version = scene.fleet.snapshot.signed.version
    scene.server.lies[f"{version}.snapshot.json"] = body(before[f"{version - 1}.snapshot.json"])
    scene.refuses()
    scene.accepts(second)


@pytest.mark.parametrize("end", ["2.root.json", "timestamp.json", "snapshot.json", "rollout.json"])
def test_metadata_without_end_is_cut_off(end: str, scene: Scene, second: Files) -> None:
    scene.fleet.publish("rollout")
    scene.server.lies[end] = endless
    scene.refuses("longer than")
    scene.accepts(second)


def test_a_file_without_end_is_cut_off(scene: Scene, second: Files) -> None:
    offer(scene.fleet, second, 2)
    scene.server.lies[f"{contract.LABELS}{PACKED}"] = endless
    scene.refuses("longer than was signed")
    kept = sum(path.stat().st_size for path in (scene.board.places.fetched / "targets").iterdir())
    assert kept < 2_000_000
    scene.accepts(second, 3)


@pytest.mark.parametrize(
    "change", [lambda d: d[:-1], lambda d: d + b"x", lambda d: b"", bytes.swapcase]
)
def test_a_file_of_another_length_or_hash_is_refused(
    change: "object", scene: Scene, second: Files
) -> None:
    offer(scene.fleet, second, 2)
    data = scene.fleet.contents[f"birds/2/{contract.LABELS}{PACKED}"]
    scene.server.lies[f"{contract.LABELS}{PACKED}"] = body(change(data))  # type: ignore[operator]
    scene.refuses("labels.txt")
    scene.accepts(second, 3)


@pytest.mark.parametrize("end", ["timestamp.json", f"{contract.LABELS}{PACKED}"])
def test_what_points_elsewhere_is_not_followed(end: str, scene: Scene, second: Files) -> None:
    offer(scene.fleet, second, 2)
    scene.server.lies[end] = Pointing("elsewhere")
    scene.refuses("not followed")
    assert not any("/elsewhere" in path for path in scene.server.asked)
    scene.accepts(second, 3)


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b"[" * 15000, b"\xff" * 100, b'{"signed": {"_type": "timestamp"}}', b"null"],
)
def test_what_is_not_metadata_is_refused(data: bytes, scene: Scene, second: Files) -> None:
    scene.server.lies["timestamp.json"] = body(data)
    assert scene.refuses().problem
    scene.accepts(second)


def test_metadata_that_nobody_signed_is_refused(scene: Scene, second: Files) -> None:
    scene.fleet.next()
    scene.fleet.write(stolen={"timestamp": []})
    scene.refuses("signed by 0")
    scene.fleet.publish()
    scene.accepts(second)


# --- signed, and still not taken ------------------------------------------------------------------


def test_a_bundle_signed_for_another_name_is_refused(scene: Scene, second: Files) -> None:
    """By the right key, which signed it as a release of another name."""
    release(scene.fleet, second, number=2)
    record = json.loads(scene.fleet.contents["birds/2/release.json"])
    record["name"] = "cats"
    scene.fleet.add("model-birds", "birds/2/release.json", json.dumps(record).encode())
    roll_out(scene.fleet, 2)
    scene.fleet.publish("model-birds", "rollout")
    scene.refuses("another release")
    scene.accepts(second, 3)


@pytest.mark.parametrize("name", ["../../escaped", "/etc/escaped", "..", "a/../../escaped"])
def test_a_name_that_leaves_its_folder_is_refused(name: str, scene: Scene, second: Files) -> None:
    release(scene.fleet, second, number=2)
    record = json.loads(scene.fleet.contents["birds/2/release.json"])
    record["files"].append({"name": name, "target": f"birds/2/{name}", "bytes": 1, "systems": []})
    scene.fleet.add("model-birds", "birds/2/release.json", json.dumps(record).encode())
    roll_out(scene.fleet, 2)
    scene.fleet.publish("model-birds", "rollout")
    scene.refuses("damaged")
    assert not list(scene.board.folder.parent.rglob("escaped"))
    scene.accepts(second, 3)


def test_a_file_that_unpacks_to_more_than_was_signed_is_refused(
    scene: Scene, second: Files
) -> None:
    bomb = {**second, contract.LABELS: bytes(20_000_000)}
    release(scene.fleet, bomb, number=2)
    record = json.loads(scene.fleet.contents["birds/2/release.json"])
    for file in record["files"]:
        file["bytes"] = min(file["bytes"], 100_000)
    scene.fleet.add("model-birds", "birds/2/release.json", json.dumps(record).encode())
    roll_out(scene.fleet, 2)
    scene.fleet.publish("model-birds", "rollout")
    scene.refuses("longer")
    scene.accepts(second, 3)


def test_a_release_that_fills_the_memory_is_refused(scene: Scene, second: Files) -> None:
    release(scene.fleet, {**second, "padding.bin": bytes(40_000_000)}, number=2)
    roll_out(scene.fleet, 2)
    scene.fleet.publish("model-birds", "rollout")
    scene.refuses("more than")
    scene.accepts(second, 3)


def test_a_signed_bundle_that_is_not_whole_is_remembered_as_failed(
    scene: Scene, second: Files
) -> None:
    offer(scene.fleet, {**second, contract.LABELS: b"cut"}, 2)
    scene.board.turn()
    assert scene.board.running() == scene.honest
    (failed,) = scene.board.progress.failed
    assert failed.startswith("2: labels.txt")
    scene.accepts(second, 3)


def test_a_failed_release_is_not_taken_again_even_with_other_bytes(
    scene: Scene, second: Files
) -> None:
    offer(scene.fleet, {**second, contract.LABELS: b"cut"}, 2)
    scene.board.turn()
    offer(scene.fleet, second, 2)
    scene.board.turn()
    assert scene.board.running() == scene.honest and scene.board.progress.taken == 2
    scene.accepts(second, 3)


def test_the_old_bytes_under_a_higher_number_are_taken(scene: Scene, second: Files) -> None:
    scene.accepts(second)
    scene.board.confirm()
    scene.board.install()
    scene.board.clock.pass_by(days=2)
    scene.board.install()
    scene.accepts(scene.honest, 3)


# --- the process with the network is the attacker's -----------------------------------------------


def planted(scene: Scene, name: str, data: bytes) -> None:
    path = scene.board.places.fetched / name
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_bytes(data)


def test_files_that_were_exchanged_after_fetching_are_refused(
    scene: Scene, second: Files, evil: Files
) -> None:
    offer(scene.fleet, second, 2)
    scene.board.fetch()
    for path in (scene.board.places.fetched / "targets").iterdir():
        data = path.read_bytes()
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    status = scene.board.install()
    assert "not what was signed" in status.problem and scene.board.running() == scene.honest
    scene.accepts(second, 3)


def test_metadata_of_a_fleet_of_the_attacker_s_own_is_refused(
    scene: Scene, evil: Files, tmp_path: Path
) -> None:
    mine = Fleet(tmp_path / "mine")
    for _ in range(5):
        mine.publish("rollout", "model-birds", "targets")
    offer(mine, evil, 2)
    for path in (mine.public / "metadata").iterdir():
        number, _, name = path.name.partition(".")
        planted(scene, f"metadata/{name if number.isdigit() else path.name}", path.read_bytes())
    status = scene.board.install()
    assert "signed by 0" in status.problem and scene.board.running() == scene.honest


@pytest.mark.parametrize("kind", ["pipe", "link", "folder"])
def test_what_is_no_file_makes_nobody_wait_and_leads_nowhere(
    kind: str, scene: Scene, second: Files
) -> None:
    path = scene.board.places.fetched / "metadata/timestamp.json"
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "link":
        path.symlink_to("/etc/hostname")
    else:
        path.mkdir()
    assert scene.board.install().problem
    assert scene.board.running() == scene.honest
    path.rmdir() if kind == "folder" else path.unlink()
    scene.accepts(second)
