"""Promises of signed releases on a system that boots: published by `make`, served by nginx, taken.

The board's own units fetch, install and judge, with their real users and hardening. Run by
`make test-deploy`.
"""

import json
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from convert.pack.bundle import tar_bytes
from device.contract import bundle as contract
from tests.emulated.support import containers
from tests.emulated.support.containers import Board
from tests.emulated.support.deploying import make, write_settings
from tests.emulated.support.release_site import ReleaseSite
from tests.support.device.bundle_files import read_folder, resealed
from tests.support.peers.cameras import mjpeg_camera

NAME = "birds"
PATIENCE_S = 600.0
"""For systems that share two cores, and for timers that come every five minutes."""
GOAL = 2.0
UNITS = ("fieldguide-update", "fieldguide-install")
STATE = "var/lib/fieldguide/updates/state.json"
A_DAY_S = 90_000
CRASHER = r"""
[Service]
ExecStart=/bin/sh -c 'while sleep 2; do \
  systemctl is-active -q fieldguide && grep -q crash /var/lib/fieldguide/current/labels.txt \
  && systemctl kill --signal=SEGV fieldguide; done'
"""
"""In place of a model that this board's runtime does not bear: whenever it is current, the service
dies of a fault of memory once it runs."""


@dataclass
class Garden:
    """A board that was deployed with the address of releases, and who publishes them."""

    board: Board
    site: ReleaseSite
    folder: Path

    def make(self, goal: str, **variables: object) -> str:
        """What a goal prints; it must succeed."""
        done = make(goal, **variables)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def publish(self, label: str) -> int:
        """A release whose first label is this one, for all boards; its number."""
        tar = self.bundle(label)
        said = self.make("publish", FLEET=self.folder / "fleet", NAME=NAME, BUNDLE=tar)
        self.make("promote", FLEET=self.folder / "fleet", NAME=NAME, PERCENT=100)
        (number,) = re.findall(rf"{NAME}/(\d+) is signed", said)
        return int(number)

    def bundle(self, label: str) -> Path:
        """A whole bundle, which passes its self-test."""
        files = resealed({**self.files, contract.LABELS: f"{label}\ngreen\nblue\n".encode()})
        tar = self.folder / f"{label}.tar"
        tar.write_bytes(tar_bytes(files))
        return tar

    @property
    def files(self) -> dict[str, bytes]:
        """Of the tiny bundle."""
        return contract.read_files(self.folder / "tiny.tar")

    def labels(self) -> str:
        """The first label of what is current."""
        return self.board.ssh("head -1 /var/lib/fieldguide/current/labels.txt")

    def told(self, **wanted: object) -> dict[str, Any]:
        """What the updater tells, once it tells this; the timers of a board would take longer."""
        until_s = time.monotonic() + PATIENCE_S
        while True:
            said = self.status()
            if all(said[name] == value for name, value in wanted.items()):
                return said
            assert time.monotonic() < until_s, (said, self.journal())
            # More often, and systemd would refuse to start it.
            time.sleep(5)
            self.board.ssh("systemctl start fieldguide-install")

    def status(self) -> dict[str, Any]:
        """`fieldguide update status`; its exit status says whether there is a problem."""
        command = "/opt/fieldguide/venv/bin/fieldguide update status --json"
        said: dict[str, Any] = json.loads(self.board.ssh(f"sh -c '{command}; true'"))
        return said

    def journal(self) -> str:
        """The last words of all units, for a test that failed."""
        return self.board.ssh("journalctl --no-pager -n 60")

    def confirm(self) -> None:
        """As the service does after ten minutes, and then a day passes in which all is well."""
        self.board.ssh(
            "env -C /opt/fieldguide runuser -u fieldguide -- "
            "/opt/fieldguide/venv/bin/fieldguide slots confirm"
        )
        self.told(stage="watch")
        state = self.board.root / STATE
        kept = json.loads(state.read_text())
        state.write_text(json.dumps({**kept, "began_s": kept["began_s"] - A_DAY_S}))
        self.told(stage="")


@pytest.fixture(scope="module")
def garden(tiny_bundle: Path) -> Iterator[Garden]:
    """Its first release is published before it is deployed, and nothing else is done for it."""
    containers.needs()
    with ExitStack() as stack:
        folder = stack.enter_context(containers.memory())
        stack.enter_context(containers.bridge())
        camera = stack.enter_context(mjpeg_camera(5.0, containers.GATEWAY))
        write_settings(folder / "settings.toml", camera)
        (folder / "tiny.tar").write_bytes(tar_bytes(read_folder(tiny_bundle)))
        done = make("fleet-init", FLEET=folder / "fleet")
        assert done.returncode == 0, done.stderr
        site = ReleaseSite(folder / "site", folder / "fleet/public", containers.GATEWAY)
        stack.callback(site.go_down)
        board = Board(0, "bookworm", folder, ())
        stack.callback(board.power_off)
        yield Garden(board, site, folder)


@pytest.fixture
def deployed(garden: Garden) -> Garden:
    """The board fetches releases; the first `make deploy` puts the tiny bundle there."""
    inventory = garden.folder / "inventory.ini"
    if not inventory.exists():
        garden.publish("first")
        inventory.write_text(garden.board.inventory())
        given = {
            "HOSTS": inventory,
            "TAR": garden.folder / "tiny.tar",
            "SETTINGS": garden.folder / "settings.toml",
            "LABELS_S": 60,
            "UPDATE_URL": garden.site.url,
            "UPDATE_NAME": NAME,
            "UPDATE_ROOT": garden.folder / "fleet/public/metadata/1.root.json",
        }
        garden.make("deploy", **given, ANSIBLE="--check")
        garden.make("deploy", **given)
        assert garden.labels() == "red"
    return garden


def test_a_boards_own_units_fetch_try_and_confirm_what_was_published(deployed: Garden) -> None:
    until_s = time.monotonic() + PATIENCE_S
    while deployed.labels() != "first":
        assert time.monotonic() < until_s, deployed.journal()
        time.sleep(3)
    assert deployed.told(stage="trial")["installed"] == 0
    paths = deployed.site.asked_for()
    assert paths[0] == "/metadata/timestamp.json"
    assert any(path.startswith(f"/targets/{NAME}/1/") for path in paths)
    # The fetcher's files are its own, and the service's user may not change them.
    owner = deployed.board.ssh("stat -c %U:%a /var/lib/fieldguide-update")
    assert owner == "fieldguide-update:750"
    deployed.confirm()
    said = deployed.status()
    assert (said["installed"], said["failed"], said["problem"]) == (1, [], "")
    assert deployed.board.ssh("systemctl is-active fieldguide") == "active"


def test_a_release_that_crashes_the_service_is_taken_back_and_never_taken_again(
    deployed: Garden,
) -> None:
    board, before = deployed.board, deployed.labels()
    number = deployed.publish("crash")
    (board.root / "etc/systemd/system/crasher.service").write_text(CRASHER)
    board.ssh("systemctl daemon-reload")
    board.ssh("systemctl start crasher")
    board.ssh("/opt/fieldguide/venv/bin/fieldguide update now")
    said = deployed.told(failed=[f"{number}: the service crashed 3 times"], stage="")
    assert deployed.labels() == before and said["installed"] == number - 1
    board.ssh("systemctl stop crasher")
    # Asked to take it once more, and after it was offered once more, it does not.
    deployed.make("promote", FLEET=deployed.folder / "fleet", NAME=NAME, PERCENT=100)
    board.ssh("/opt/fieldguide/venv/bin/fieldguide update now")
    board.ssh("systemctl start fieldguide-update")
    board.ssh("systemctl start fieldguide-install")
    said = deployed.status()
    assert (said["stage"], len(said["failed"])) == ("", 1) and deployed.labels() == before
    assert board.ssh("systemctl is-active fieldguide") == "active"


def test_while_the_server_is_down_the_old_release_goes_on(deployed: Garden) -> None:
    board, before = deployed.board, deployed.labels()
    number = deployed.publish("later")
    deployed.site.go_down()
    board.ssh("/opt/fieldguide/venv/bin/fieldguide update check", fails=True)
    board.ssh("systemctl start fieldguide-update")
    board.ssh("systemctl start fieldguide-install")
    said = deployed.status()
    assert "refused" in said["problem"] and deployed.labels() == before
    assert board.ssh("systemctl is-active fieldguide") == "active"
    deployed.site.go_up()
    board.ssh("/opt/fieldguide/venv/bin/fieldguide update now")
    deployed.told(stage="trial", problem="", latest=number)
    assert deployed.labels() == "later"
    deployed.confirm()
    assert deployed.status()["installed"] == number


def test_the_units_of_updates_are_little_exposed(deployed: Garden) -> None:
    for unit in UNITS:
        said = deployed.board.ssh(f"systemd-analyze security --no-pager {unit}.service")
        (level,) = re.findall(rf"exposure level for {unit}\.service: ([0-9.]+)", said)
        assert float(level) <= GOAL, said
