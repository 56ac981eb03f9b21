"""Promises of releases of the software itself, on a system that boots, with its real units.

Published by `device.fleet`, fetched, installed offline, run, judged by the release before, and
taken back: also if it does not start, or if the board does not stay up with it. Run by
`make test-deploy`.
"""

import json
import os
import platform
import re
import signal
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.emulated.support.deploying import in_checkout, making
from tests.emulated.support.garden import A_DAY_S, COMMAND, PATIENCE_S, PAUSE_S, Garden, planted
from tests.emulated.support.rewheel import rewheel
from tests.support.places import BUILD
from tests.support.timing import eventually

SYSTEM = "3.11.2-x86_64-2.36"
"""Debian Bookworm on this machine's processor."""
STATE = "var/lib/fieldguide-software"
NOT_STARTING = "\nimport sys\nif 'serve' in sys.argv:\n    raise SystemExit('a fault')\n"
"""At the end of a module of the service: an import in the trial finds nothing."""

PREPARED = """
cd /opt/fieldguide/releases; name=$(cat /run/fieldguide-deploying); echo $name
test -e $name/ready && echo made; true"""
"""The release that a deployment is preparing, and whether it has made it."""


class SoftwareGarden(Garden):
    """Whose board takes releases of the software."""

    def publish(self, version: str, module: str = "", text: str = "") -> int:
        """A release of the software for all boards; `text` is added to a module of it."""
        wheel = next((BUILD / "wheel").glob("*.whl"))
        rewheel(wheel, self.folder / "wheel", version, {module: text} if module else None)
        words = ["software", f"--wheel={self.folder / 'wheel'}", f"--system={SYSTEM}"]
        words += ["--lock=device/locks/device.txt", f"--wheels={BUILD / 'wheels'}"]
        words += ["--unit=device/deploy/fieldguide.service"]
        said = self._in_fleet(*words)
        self._in_fleet("promote", "--name=software", "--percent=100")
        return int(re.findall(r"software/(\d+) is signed", said)[0])

    def _in_fleet(self, *words: str) -> str:
        python = [str(BUILD / "venv-fleet/bin/python"), "-m", "device.fleet"]
        done = in_checkout([*python, *words, f"--fleet={self.fleet}"])
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def take(self, number: int) -> None:
        """A person asks for it, and the units do the rest; the timers would take longer."""
        self.wish()
        until_s = time.monotonic() + PATIENCE_S
        while self.state(STATE).get("taken", 0) < number:
            assert time.monotonic() < until_s, (self.told(), self.board.journal())
            self.start("install", "update", "software")
            time.sleep(PAUSE_S)

    def live(self, link: str = "venv") -> str:
        """The release that a link leads to."""
        return self.board.ssh(f"readlink /opt/fieldguide/{link}").split("/")[1]

    def runs(self, release: str, version: str) -> None:
        """The service runs it, and sees."""
        until_s = time.monotonic() + PATIENCE_S
        while True:
            health = json.loads(self.board.ssh("cat /var/lib/fieldguide/updates/health.json"))
            if health["software"] == release and health["streaming"]:
                break
            assert time.monotonic() < until_s, (health, self.board.journal())
            time.sleep(PAUSE_S)
        assert self.live() == release
        self.is_well()
        assert self.board.ssh(f"{COMMAND} --version") == f"fieldguide {version}"

    def told(self) -> dict[str, Any]:
        """What people are told of the software."""
        self.start("software", "install")
        software: dict[str, Any] = self.status()["software"]
        return software

    def has_counted(self, boots: int) -> bool:
        """Whether so many starts in a row are remembered."""
        return bool(self.state(STATE)["boots"] == boots)

    def kept(self) -> None:
        """It works for ten minutes, and then for a day."""
        self.start("update", "install")
        self.pass_by(STATE, served_s=600.0)
        assert self.told()["stage"] == "watch", (self.state(STATE), self.board.journal())
        self.pass_by(STATE, began_s=-A_DAY_S)
        assert self.told()["stage"] == ""
        assert self.live("confirmed") == self.live()


@pytest.fixture(scope="module")
def garden(tiny_bundle: Path) -> Iterator[SoftwareGarden]:
    if platform.machine() != "x86_64":
        pytest.skip("wheels are fetched for x86-64")
    with planted(SoftwareGarden, tiny_bundle, 7) as garden:
        garden.deploy()
        yield garden


def test_software_is_fetched_installed_offline_tried_and_kept(garden: SoftwareGarden) -> None:
    board, before = garden.board, garden.live()
    garden.take(garden.publish("0.1.1"))
    release = garden.live()
    assert release.startswith("software-"), (garden.state(STATE), garden.board.journal())
    garden.runs(release, "0.1.1")
    # The deployment had brought all other wheels.
    wheels = [path for path in garden.site.asked_for() if path.endswith(".whl")]
    assert len(wheels) == 1 and "fieldguide_device-0.1.1" in wheels[0], wheels
    assert garden.live("confirmed") == before
    said = garden.told()
    assert (said["version"], said["runs"], said["stage"]) == ("0.1.1", release, "trial")
    assert board.ssh("ls /opt/fieldguide/trial")
    # Nobody but root may change what the service runs.
    assert board.ssh(f"find /opt/fieldguide/releases/{release} ! -user root ! -type l") == ""
    garden.kept()
    board.ssh("ls /opt/fieldguide/trial", fails=True)
    assert garden.told()["installed"] == 1


def test_software_with_which_the_service_does_not_start_is_taken_back_and_not_taken_again(
    garden: SoftwareGarden,
) -> None:
    before = garden.live()
    garden.take(garden.publish("0.1.2", "device/service/supervisor.py", NOT_STARTING))
    assert garden.live() != before and garden.live("confirmed") == before
    assert garden.told()["stage"] == "trial"
    garden.pass_by(STATE, began_s=-400.0)
    said = garden.told()
    assert "does not start" in said["failed"][-1], (said, garden.board.journal())
    garden.runs(before, "0.1.1")
    assert said["stage"] == "" and said["installed"] == 1
    # The same under a higher number.
    garden.publish("0.1.1")
    garden.take(garden.publish("0.1.2", "device/service/supervisor.py", NOT_STARTING))
    said = garden.told()
    assert garden.live() == before and "led back before" in said["failed"][-1], said
    garden.is_well()


def test_software_with_which_the_board_does_not_stay_up_is_taken_back_at_a_start(
    garden: SoftwareGarden,
) -> None:
    board, before = garden.board, garden.live()
    garden.take(garden.publish("0.1.3"))
    release = garden.live()
    assert release not in (before, "") and garden.live("confirmed") == before
    # On two cores that others use, a start may take longer than the minute that counts.
    for unit in ("software.timer", "update.timer", "software.path"):
        board.ssh(f"systemctl disable fieldguide-{unit}")
    for boots in (1, 2, 3):
        board.cut_power()
        board.power_on()
        # It is counted before the service starts, which might be what takes the board down.
        eventually(partial(garden.has_counted, boots), PATIENCE_S)
        assert garden.live() == release
    board.cut_power()
    board.power_on()
    eventually(lambda: garden.live() == before, PATIENCE_S)
    garden.runs(before, "0.1.1")
    said = garden.told()
    assert "did not stay up" in said["failed"][-1] and said["stage"] == ""


def test_a_deployment_that_has_not_linked_yet_outlives_a_release_of_the_software(
    garden: SoftwareGarden,
) -> None:
    """It is held up between making its release and linking to it, while another one is taken."""
    board, before = garden.board, garden.live()
    with making("deploy", **garden.deployed()) as deployment:
        until_s = time.monotonic() + PATIENCE_S
        while "made" not in (said := board.ssh(f"sh -c '{PREPARED}'")):
            assert time.monotonic() < until_s and deployment.poll() is None, said
            time.sleep(0.1)
        os.killpg(deployment.pid, signal.SIGSTOP)
        release = said.split()[0]
        assert garden.live() == before != release, "it was too quick"
        garden.take(garden.publish("0.1.4"))
        garden.runs(garden.live(), "0.1.4")
        assert board.ssh(f"ls /opt/fieldguide/releases/{release}/ready")
        os.killpg(deployment.pid, signal.SIGCONT)
        said, _ = deployment.communicate(timeout=PATIENCE_S)
    assert deployment.returncode == 0, said
    garden.runs(release, "0.1.0")
    assert garden.live("confirmed") == release
    board.ssh("ls /run/fieldguide-deploying", fails=True)
    assert not garden.told()["problem"]


def test_the_units_are_little_exposed(garden: SoftwareGarden) -> None:
    for unit in ("fieldguide-software", "fieldguide-software-boot"):
        assert garden.exposure(unit) <= 2.0
