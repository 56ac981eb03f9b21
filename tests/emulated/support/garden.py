"""A board on a system that boots, deployed with the address of releases, and who publishes them.

Everything on it is real: units, users and hardening, and an nginx that serves the fleet's folder.
"""

import json
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from convert.pack.bundle import tar_bytes
from device.update.lock import alone
from device.update.state import STATE_FILE
from tests.emulated.support import containers
from tests.emulated.support.containers import Board
from tests.emulated.support.deploying import make, write_settings
from tests.emulated.support.release_site import ReleaseSite
from tests.support.device.bundle_files import read_folder
from tests.support.peers.cameras import mjpeg_camera

NAME = "birds"
COMMAND = "/opt/fieldguide/venv/bin/fieldguide"
PATIENCE_S = 600.0
"""For systems that share two cores, and for timers that come every five minutes."""
PAUSE_S = 2.0
A_DAY_S = 90_000.0
"""And an hour."""


@dataclass
class Garden:
    """The board, and what publishes for it."""

    board: Board
    site: ReleaseSite
    folder: Path

    @property
    def fleet(self) -> Path:
        """The fleet's folder."""
        return self.folder / "fleet"

    def make(self, goal: str, **variables: object) -> str:
        """What a goal prints; it must succeed."""
        done = make(goal, **variables)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def deploy(self, **variables: object) -> str:
        """`make deploy` of the tiny bundle, with the address of releases."""
        return self.make("deploy", **self.deployed(), **variables)

    def deployed(self) -> dict[str, object]:
        """What `make deploy` is told."""
        inventory = self.folder / "inventory.ini"
        inventory.write_text(self.board.inventory())
        return {
            "HOSTS": inventory,
            "TAR": self.folder / "tiny.tar",
            "SETTINGS": self.folder / "settings.toml",
            "LABELS_S": 60,
            "UPDATE_URL": self.site.url,
            "UPDATE_NAME": NAME,
            "UPDATE_ROOT": self.fleet / "public/metadata/1.root.json",
        }

    def start(self, *parts: str) -> None:
        """One pass of each of these units, as by its timer."""
        for part in parts:
            self.board.ssh(f"systemctl start fieldguide-{part}")

    def wish(self) -> None:
        """A person asks for what is meant for this board."""
        self.board.ssh(f"{COMMAND} update now")

    def status(self) -> dict[str, Any]:
        """`fieldguide update status`; its exit status says whether there is a problem."""
        said: dict[str, Any] = json.loads(
            self.board.ssh(f"sh -c '{COMMAND} update status --json; true'")
        )
        return said

    def state(self, folder: str) -> dict[str, Any]:
        """What is remembered in a folder below the board's root; nothing before the first pass."""
        path = self.board.root / folder / STATE_FILE
        kept: dict[str, Any] = json.loads(path.read_bytes()) if path.exists() else {}
        return kept

    def pass_by(self, folder: str, **changed_s: float) -> None:
        """Time goes on, for what is remembered of a stage.

        Args:
            folder: of what is remembered, below the board's root.
            changed_s: what is added to fields of it.
        """
        path = self.board.root / folder / STATE_FILE
        # A pass must neither read half of it nor write what it read before.
        with alone(path.parent):
            kept = json.loads(path.read_bytes())
            changed = {name: kept[name] + more_s for name, more_s in changed_s.items()}
            part, before = path.with_name("passed-by"), path.stat()
            part.write_text(json.dumps({**kept, **changed}))
            os.chown(part, before.st_uid, before.st_gid)
            part.chmod(before.st_mode)
            part.replace(path)

    def is_well(self) -> None:
        """The service runs."""
        assert self.board.ssh("systemctl is-active fieldguide") == "active"

    def exposure(self, unit: str) -> float:
        """What systemd says of a unit, 0 to 10."""
        said = self.board.ssh(f"systemd-analyze security --no-pager {unit}.service")
        (level,) = re.findall(rf"exposure level for {unit}\.service: ([0-9.]+)", said)
        return float(level)


Kind = TypeVar("Kind", bound=Garden)


@contextmanager
def planted(kind: type[Kind], tiny_bundle: Path, number: int) -> Iterator[Kind]:
    """A fleet without releases, its site, and a system with nothing on it.

    Args:
        kind: of garden.
        tiny_bundle: what its board will be deployed with.
        number: of the board.
    """
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
        board = Board(number, "bookworm", folder, ())
        stack.callback(board.power_off)
        yield kind(board, site, folder)
