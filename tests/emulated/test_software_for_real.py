"""Promises of releases of the software itself, on a system that boots, with its real units.

Published by `device.fleet`, fetched, installed offline, run, judged by the release before, and
taken back: also if it does not start, or if the board does not stay up with it. Run by
`make test-deploy`.
"""

import json
import re
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from convert.pack.bundle import tar_bytes
from tests.emulated.support import containers
from tests.emulated.support.containers import Board
from tests.emulated.support.deploying import in_checkout, make, write_settings
from tests.emulated.support.rewheel import rewheel
from tests.support.device.bundle_files import read_folder
from tests.support.peers.cameras import mjpeg_camera
from tests.support.places import BUILD
from tests.support.timing import eventually

SYSTEM = "3.11.2-x86_64-2.36"
"""Debian Bookworm on this machine's processor."""
PORT = 8089
PATIENCE_S = 600.0
"""A venv takes minutes on systems that share two cores."""
STATE = "var/lib/fieldguide-software/state.json"
COMMAND = "/opt/fieldguide/venv/bin/fieldguide"
A_DAY_S = 90_000.0
NOT_STARTING = "\nimport sys\nif 'serve' in sys.argv:\n    raise SystemExit('a fault')\n"
"""At the end of a module of the service: an import in the trial finds nothing."""


@dataclass
class Garden:
    """A board that was deployed with the address of releases, and who publishes them."""

    board: Board
    folder: Path
    asked: list[str]
    """Addresses that the server was asked for."""

    def publish(self, version: str, module: str = "", text: str = "") -> int:
        """A release of the software for all boards; `text` is added to a module of it."""
        said = ""
        wheel = next((BUILD / "wheel").glob("*.whl"))
        rewheel(wheel, self.folder / "wheel", version, {module: text} if module else None)
        fleet = self.folder / "fleet"
        words = ["software", f"--fleet={fleet}", f"--wheel={self.folder / 'wheel'}"]
        words += ["--lock=device/locks/device.txt", f"--wheels={BUILD / 'wheels'}"]
        words += [f"--system={SYSTEM}", "--unit=device/deploy/fieldguide.service"]
        python = BUILD / "venv-fleet/bin/python"
        for command in (words, ["promote", f"--fleet={fleet}", "--name=software", "--percent=100"]):
            done = in_checkout([str(python), "-m", "device.fleet", *command])
            assert done.returncode == 0, done.stdout + done.stderr
            said += done.stdout
        return int(re.findall(r"software/(\d+) is signed", said)[0])

    def take(self, number: int) -> None:
        """A person asks for it, and the units do the rest; the timers would take longer."""
        self.board.ssh(f"{COMMAND} update now")
        until_s = time.monotonic() + PATIENCE_S
        while not (self.board.root / STATE).exists() or self.state()["taken"] < number:
            assert time.monotonic() < until_s, (self.told(), self.journal())
            for unit in ("install", "update", "software"):
                self.board.ssh(f"systemctl start fieldguide-{unit}")

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
            assert time.monotonic() < until_s, (health, self.journal())
            time.sleep(2)
        assert self.live() == release
        assert self.board.ssh("systemctl is-active fieldguide") == "active"
        assert self.board.ssh(f"{COMMAND} --version") == f"fieldguide {version}"

    def told(self) -> dict[str, Any]:
        """What people are told of the software."""
        for unit in ("software", "install"):
            self.board.ssh(f"systemctl start fieldguide-{unit}")
        status = json.loads(self.board.ssh(f"sh -c '{COMMAND} update status --json; true'"))
        software: dict[str, Any] = status["software"]
        return software

    def state(self) -> dict[str, Any]:
        """What the process that installs software remembers."""
        kept: dict[str, Any] = json.loads((self.board.root / STATE).read_text())
        return kept

    def has_counted(self, boots: int) -> bool:
        """Whether so many starts in a row are remembered."""
        return bool(self.state()["boots"] == boots)

    def pass_by(self, **changed_s: float) -> None:
        """Time goes on, for what is remembered of a stage."""
        kept = self.state()
        for name, change_s in changed_s.items():
            kept[name] += change_s
        (self.board.root / STATE).write_text(json.dumps(kept))

    def kept(self) -> None:
        """It works for ten minutes, and then for a day."""
        for unit in ("update", "install"):
            self.board.ssh(f"systemctl start fieldguide-{unit}")
        self.pass_by(served_s=600.0)
        assert self.told()["stage"] == "watch", (self.state(), self.journal())
        self.pass_by(began_s=-A_DAY_S)
        assert self.told()["stage"] == ""
        assert self.live("confirmed") == self.live()

    def journal(self) -> str:
        """The last words of all units, for a test that failed."""
        return self.board.ssh("journalctl --no-pager -n 80")


@contextmanager
def serving(folder: Path) -> Iterator[list[str]]:
    """The folder at the address that boards reach; yields what it is asked for."""
    asked: list[str] = []

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *words: object) -> None:
            asked.append(self.path)

    server = ThreadingHTTPServer(
        (containers.GATEWAY, PORT), partial(Handler, directory=str(folder))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield asked
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def garden(tiny_bundle: Path) -> Iterator[Garden]:
    containers.needs()
    if sys.platform != "linux" or SYSTEM.split("-")[1] not in ("x86_64",):
        pytest.skip("wheels are fetched for x86-64")
    with ExitStack() as stack:
        folder = stack.enter_context(containers.memory())
        stack.enter_context(containers.bridge())
        camera = stack.enter_context(mjpeg_camera(5.0, containers.GATEWAY))
        write_settings(folder / "settings.toml", camera)
        (folder / "tiny.tar").write_bytes(tar_bytes(read_folder(tiny_bundle)))
        done = make("fleet-init", FLEET=folder / "fleet")
        assert done.returncode == 0, done.stderr
        asked = stack.enter_context(serving(folder / "fleet/public"))
        board = Board(7, "bookworm", folder, ())
        stack.callback(board.power_off)
        (folder / "inventory.ini").write_text(board.inventory())
        done = make(
            "deploy",
            HOSTS=folder / "inventory.ini",
            TAR=folder / "tiny.tar",
            SETTINGS=folder / "settings.toml",
            LABELS_S=60,
            UPDATE_URL=f"http://{containers.GATEWAY}:{PORT}/",
            UPDATE_NAME="birds",
            UPDATE_ROOT=folder / "fleet/public/metadata/1.root.json",
        )
        assert done.returncode == 0, done.stdout + done.stderr
        yield Garden(board, folder, asked)


def test_software_is_fetched_installed_offline_tried_and_kept(garden: Garden) -> None:
    board, before = garden.board, garden.live()
    garden.take(garden.publish("0.1.1"))
    release = garden.live()
    assert release.startswith("software-"), (garden.state(), garden.journal())
    garden.runs(release, "0.1.1")
    # The deployment had brought all other wheels.
    wheels = [path for path in garden.asked if path.endswith(".whl")]
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
    garden: Garden,
) -> None:
    board, before = garden.board, garden.live()
    garden.take(garden.publish("0.1.2", "device/service/supervisor.py", NOT_STARTING))
    assert garden.live() != before and garden.live("confirmed") == before
    assert garden.told()["stage"] == "trial"
    garden.pass_by(began_s=-400.0)
    said = garden.told()
    assert "does not start" in said["failed"][-1], (said, garden.journal())
    garden.runs(before, "0.1.1")
    assert said["stage"] == "" and said["installed"] == 1
    # The same under a higher number.
    garden.publish("0.1.1")
    garden.take(garden.publish("0.1.2", "device/service/supervisor.py", NOT_STARTING))
    said = garden.told()
    assert garden.live() == before and "led back before" in said["failed"][-1], said
    assert board.ssh("systemctl is-active fieldguide") == "active"


def test_software_with_which_the_board_does_not_stay_up_is_taken_back_at_a_start(
    garden: Garden,
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


def test_the_units_are_little_exposed(garden: Garden) -> None:
    for unit in ("fieldguide-software", "fieldguide-software-boot"):
        said = garden.board.ssh(f"systemd-analyze security --no-pager {unit}.service")
        (level,) = re.findall(rf"exposure level for {unit}\.service: ([0-9.]+)", said)
        assert float(level) <= 2.0, said
