"""Promises of signed releases on a system that boots: published by `make`, served by nginx, taken.

The board's own units fetch, install and judge, with their real users and hardening. Run by
`make test-deploy`.
"""

import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from convert.pack.bundle import tar_bytes
from device.contract import bundle as contract
from tests.emulated.support.garden import (
    A_DAY_S,
    COMMAND,
    NAME,
    PATIENCE_S,
    PAUSE_S,
    Garden,
    planted,
)
from tests.support.device.bundle_files import resealed
from tests.support.timing import eventually

GOAL = 2.0
UNITS = ("fieldguide-update", "fieldguide-install")
STATE = "var/lib/fieldguide/updates"
CRASHER = r"""
[Service]
ExecStart=/bin/sh -c 'while sleep 2; do \
  systemctl is-active -q fieldguide && grep -q crash /var/lib/fieldguide/current/labels.txt \
  && systemctl kill --signal=SEGV fieldguide; done'
"""
"""In place of a model that this board's runtime does not bear: whenever it is current, the service
dies of a fault of memory once it runs."""
STICK = "media-fieldguide.mount"
PLUGGED = "[Mount]\nWhat=/srv/stick\nType=none\nOptions=bind,ro,nosuid,nodev,noexec\n"
"""In place of a disk, which a container cannot have; udev would start the unit."""
QUICK = "[Service]\nExecStart=\nExecStart=/bin/true\n"
"""In place of a pass on a board that is faster than this machine."""


class ModelGarden(Garden):
    """Whose board takes releases of the model."""

    def publish(self, label: str) -> int:
        """A release whose first label is this one, for all boards; its number."""
        tar = self.bundle(label)
        said = self.make("publish", FLEET=self.fleet, NAME=NAME, BUNDLE=tar)
        self.make("promote", FLEET=self.fleet, NAME=NAME, PERCENT=100)
        (number,) = re.findall(rf"{NAME}/(\d+) is signed", said)
        return int(number)

    def bundle(self, label: str) -> Path:
        """A whole bundle, which passes its self-test."""
        tiny = contract.read_files(self.folder / "tiny.tar")
        files = resealed({**tiny, contract.LABELS: f"{label}\ngreen\nblue\n".encode()})
        tar = self.folder / f"{label}.tar"
        tar.write_bytes(tar_bytes(files))
        return tar

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
            assert time.monotonic() < until_s, (said, self.board.journal())
            time.sleep(PAUSE_S)
            self.start("install")

    def confirm(self) -> None:
        """As the service does after ten minutes, and then a day passes in which all is well."""
        self.board.ssh(f"env -C /opt/fieldguide runuser -u fieldguide -- {COMMAND} slots confirm")
        self.told(stage="watch")
        self.pass_by(STATE, began_s=-A_DAY_S)
        self.told(stage="")


@pytest.fixture(scope="module")
def garden(tiny_bundle: Path) -> Iterator[ModelGarden]:
    """Its first release is published before it is deployed, and nothing else is done for it."""
    with planted(ModelGarden, tiny_bundle, 0) as garden:
        garden.publish("first")
        garden.deploy(ANSIBLE="--check")
        garden.deploy()
        assert garden.labels() == "red"
        yield garden


def test_a_boards_own_units_fetch_try_and_confirm_what_was_published(garden: ModelGarden) -> None:
    until_s = time.monotonic() + PATIENCE_S
    while garden.labels() != "first":
        assert time.monotonic() < until_s, garden.board.journal()
        time.sleep(3)
    assert garden.told(stage="trial")["installed"] == 0
    paths = garden.site.asked_for()
    assert paths[0] == "/metadata/timestamp.json"
    assert any(path.startswith(f"/targets/{NAME}/1/") for path in paths)
    # The fetcher's files are its own, and the service's user may not change them.
    owner = garden.board.ssh("stat -c %U:%a /var/lib/fieldguide-update")
    assert owner == "fieldguide-update:750"
    garden.confirm()
    said = garden.status()
    assert (said["installed"], said["failed"], said["problem"]) == (1, [], "")
    garden.is_well()


def test_a_release_that_crashes_the_service_is_taken_back_and_never_taken_again(
    garden: ModelGarden,
) -> None:
    board, before = garden.board, garden.labels()
    number = garden.publish("crash")
    (board.root / "etc/systemd/system/crasher.service").write_text(CRASHER)
    board.ssh("systemctl daemon-reload")
    board.ssh("systemctl start crasher")
    garden.wish()
    said = garden.told(failed=[f"{number}: the service crashed 3 times"], stage="")
    assert garden.labels() == before and said["installed"] == number - 1
    board.ssh("systemctl stop crasher")
    # Asked to take it once more, and after it was offered once more, it does not.
    garden.make("promote", FLEET=garden.fleet, NAME=NAME, PERCENT=100)
    garden.wish()
    garden.start("update", "install")
    said = garden.status()
    assert (said["stage"], len(said["failed"])) == ("", 1) and garden.labels() == before
    garden.is_well()


def test_while_the_server_is_down_the_old_release_goes_on(garden: ModelGarden) -> None:
    board, before = garden.board, garden.labels()
    number = garden.publish("later")
    garden.site.go_down()
    board.ssh(f"{COMMAND} update check", fails=True)
    garden.start("update", "install")
    said = garden.status()
    assert "refused" in said["problem"] and garden.labels() == before
    garden.is_well()
    garden.site.go_up()
    garden.wish()
    garden.told(stage="trial", problem="", latest=number)
    assert garden.labels() == "later"
    garden.confirm()
    assert garden.status()["installed"] == number


def test_a_stick_brings_a_release_and_may_be_pulled_out(garden: ModelGarden) -> None:
    board = garden.board
    number = garden.publish("stick")
    drop_in = board.root / f"etc/systemd/system/{STICK}.d/plugged.conf"
    drop_in.parent.mkdir()
    drop_in.write_text(PLUGGED)
    assert board.ssh(f"systemctl is-enabled {STICK}") == "enabled"
    board.ssh("systemctl daemon-reload")
    garden.site.go_down()
    fetch_from(garden, "file:///media/fieldguide")
    garden.start("install", "update", "install")
    said = garden.status()
    assert said["waits"].startswith("the stick") and not said["problem"]
    shutil.copytree(garden.fleet / "public", board.root / "srv/stick")
    board.ssh(f"systemctl start {STICK}")
    garden.told(stage="trial", latest=number, away="")
    assert garden.labels() == "stick"
    board.ssh("touch /media/fieldguide/written", fails=True)
    board.ssh(f"systemctl stop {STICK}")
    garden.wish()
    garden.start("install", "update", "install")
    said = garden.status()
    assert said["away"].startswith("the stick") and not said["problem"]
    assert garden.labels() == "stick"
    garden.is_well()
    garden.site.go_up()
    fetch_from(garden, garden.site.url)
    garden.confirm()


def fetch_from(garden: ModelGarden, url: str) -> None:
    """Change the address in the board's settings."""
    path = garden.board.root / "etc/fieldguide/fieldguide.toml"
    before, section, after = path.read_text().partition("[update]\n")
    after = re.sub("(?m)^url = .*$", f'url = "{url}"', after, count=1)
    path.write_text(before + section + after)
    garden.board.ssh("systemctl reload fieldguide")


def test_the_units_of_updates_are_little_exposed(garden: ModelGarden) -> None:
    for unit in UNITS:
        assert garden.exposure(unit) <= GOAL


def test_releases_are_noticed_however_often_somebody_asks_for_them(garden: ModelGarden) -> None:
    board, unit = garden.board, "fieldguide-install"
    drop_in = board.root / f"etc/systemd/system/{unit}.service.d/quick.conf"
    drop_in.parent.mkdir()
    drop_in.write_text(QUICK)
    board.ssh("systemctl daemon-reload")
    press = f"touch /var/lib/fieldguide/updates/wanted && systemctl start {unit}"
    board.ssh(f"sh -ec 'for each in $(seq 20); do {press}; done'")
    drop_in.unlink()
    board.ssh("systemctl daemon-reload")
    assert board.ssh(f"systemctl is-active {unit}.path") == "active"
    garden.start("install")
    before = garden.state(STATE)["hurry"]
    garden.wish()
    eventually(lambda: garden.state(STATE)["hurry"] > before, PATIENCE_S)
