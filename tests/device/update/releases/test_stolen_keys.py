"""Stolen keys: what each can do to boards that fetch releases, and what it cannot."""

import pytest

from device.contract.release.naming import PACKED
from device.contract.release.record import Release, ReleaseFile, record_target
from tests.device.update.releases.conftest import ROLES, Scene, old_files, stranger
from tests.support.device.board import Files, offer, packed, release, roll_out


@pytest.mark.parametrize("role", ROLES)
def test_a_stranger_s_key_signs_for_no_role(
    role: str, scene: Scene, evil: Files, second: Files
) -> None:
    offer_as = stranger().keys[role]
    release(scene.fleet, evil, number=2)
    roll_out(scene.fleet, 2)
    scene.fleet.next("targets", "model-birds", "rollout")
    scene.fleet.write(stolen={role: offer_as})
    scene.refuses("signed by 0")
    scene.fleet.publish("targets")
    scene.accepts(second, 3)


@pytest.mark.parametrize("have", [("timestamp",), ("snapshot",), ("snapshot", "timestamp")])
def test_who_stole_the_publisher_s_clock_keys_makes_no_release(
    have: tuple[str, ...], scene: Scene, evil: Files
) -> None:
    other = stranger()
    release(scene.fleet, evil, number=2)
    roll_out(scene.fleet, 2)
    scene.fleet.next("model-birds", "rollout")
    lost = {role: other.keys[role] for role in other.keys if role not in have}
    del lost["root"]
    scene.fleet.write(stolen=lost)
    scene.refuses("signed by 0")


def test_who_stole_the_publisher_brings_nothing_older_back(scene: Scene, second: Files) -> None:
    """Snapshot and timestamp name an older version of what was rolled out."""
    offer(scene.fleet, second, 2)
    scene.board.fetch()
    for role in ("rollout", "model-birds"):
        scene.fleet.roles[role].signed.version -= 1
    scene.fleet.next()
    scene.fleet.write()
    scene.board.fetch()
    assert "version" in scene.board.checks.problem


def test_who_stole_the_rollout_rolls_out_no_release_of_their_own(
    scene: Scene, evil: Files, second: Files
) -> None:
    role = scene.fleet.roles["rollout"]
    for name, data in evil.items():
        scene.fleet.add("rollout", f"birds/2/{name}{PACKED}", packed(data))
    files = [ReleaseFile(n, f"birds/2/{n}{PACKED}", len(d)) for n, d in evil.items()]
    record = Release("birds", 2, "mine", tuple(files)).to_json()
    scene.fleet.add("rollout", record_target("birds", 2), record)
    roll_out(scene.fleet, 2)
    scene.fleet.publish("rollout")
    scene.refuses("nobody who may has signed it")
    for path in [path for path in role.signed.targets if path.startswith("birds/")]:
        del role.signed.targets[path]
    scene.accepts(second)


def test_who_stole_the_rollout_brings_no_older_release_back(scene: Scene, second: Files) -> None:
    scene.accepts(second)
    scene.board.confirm()
    scene.board.install()
    roll_out(scene.fleet, 1)
    scene.fleet.publish("rollout")
    scene.board.clock.pass_by(days=2)
    scene.board.turn()
    scene.board.turn()
    assert scene.board.running() == second and scene.board.progress.taken == 2


def test_who_stole_the_maker_s_key_rolls_nothing_out(
    scene: Scene, evil: Files, second: Files
) -> None:
    release(scene.fleet, evil, number=2)
    scene.fleet.add("model-birds", "rollout.json", scene.fleet.contents["rollout.json"])
    scene.fleet.publish("model-birds")
    assert scene.refuses().latest == 1
    scene.accepts(second, 3)


def test_who_stole_another_maker_s_key_signs_nothing_for_this_board(
    scene: Scene, evil: Files, second: Files
) -> None:
    for name, data in evil.items():
        scene.fleet.add("model-cats", f"birds/2/{name}{PACKED}", packed(data))
    files = [ReleaseFile(n, f"birds/2/{n}{PACKED}", len(d)) for n, d in evil.items()]
    record = Release("birds", 2, "mine", tuple(files)).to_json()
    scene.fleet.add("model-cats", record_target("birds", 2), record)
    roll_out(scene.fleet, 2)
    scene.fleet.publish("model-cats", "rollout")
    scene.refuses("nobody who may has signed it")
    scene.accepts(second, 3)


def test_who_stole_targets_alone_delegates_to_nobody(scene: Scene, second: Files) -> None:
    """They have not the publisher's keys, so no snapshot names their version."""
    before = old_files(scene.fleet)
    scene.fleet.targets.signed.version += 1
    scene.fleet.write()
    for name in ("timestamp.json", f"{scene.fleet.snapshot.signed.version}.snapshot.json"):
        scene.fleet.put(name, before[name])
    assert not scene.refuses().problem
    scene.fleet.publish()
    scene.accepts(second)


@pytest.mark.parametrize("signing", [0, 1])
def test_a_root_needs_two_of_its_keys(signing: int, scene: Scene, second: Files) -> None:
    fleet = scene.fleet
    mine = fleet.rotate("timestamp")
    fleet.write(stolen={"root": fleet.keys["root"][:signing]})
    scene.refuses(f"signed by {signing}")
    (fleet.public / "metadata/2.root.json").unlink()
    fleet.publish()
    scene.accepts(second)
    assert mine


def test_a_root_signed_by_its_own_new_keys_alone_is_refused(scene: Scene) -> None:
    fleet = scene.fleet
    fleet.rotate("root")
    fleet.next()
    fleet.write()
    scene.refuses("signed by 0")


def test_a_root_that_left_out_a_version_is_not_reached(scene: Scene, second: Files) -> None:
    fleet = scene.fleet
    for _ in range(2):
        fleet.rotate("timestamp")
        fleet.write()
    fleet.publish()
    missing = fleet.public / "metadata/2.root.json"
    data = missing.read_bytes()
    missing.unlink()
    scene.refuses("signed by 0")
    missing.write_bytes(data)
    scene.accepts(second)


def test_a_key_that_was_replaced_signs_nothing_any_more(scene: Scene, second: Files) -> None:
    old = scene.fleet.rotate("timestamp")
    scene.fleet.next()
    scene.fleet.write(stolen={"timestamp": old})
    scene.refuses("signed by 0")
    scene.fleet.publish()
    scene.accepts(second)
