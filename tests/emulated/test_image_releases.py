"""Promises of a card with `UPDATE_URL=`: its board updates itself, and survives its plug meanwhile.

`make test-image` runs it with CUTS=1 or more.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from convert.pack.bundle import tar_bytes
from device.contract import bundle as contract
from tests.emulated.support.cards import (
    COMMAND,
    IMAGE,
    LABELLED,
    active_within,
    owned,
    settled,
    verified,
)
from tests.emulated.support.qemu_board import PATIENCE_S, SERVER, Board, insert
from tests.support.places import BUILD, ROOT

NAME = "birds"
NEWER = "the published bundle"

pytestmark = pytest.mark.skipif(
    "virt" not in os.environ.get("FIELDGUIDE_BOOTS", "").split()
    or not int(os.environ.get("FIELDGUIDE_CUTS", "0")),
    reason="more boots and more minutes: make test-image CUTS=1, on the machine with a network",
)


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    """A folder of releases; there are none yet."""
    folder = tmp_path / "fleet"
    in_fleet(folder, "init")
    return folder


@pytest.fixture
def board(fleet: Path, tmp_path: Path, key: Path) -> Iterator[Board]:
    """It boots for the first time, from a card whose owner named the fleet."""
    card, public = insert(IMAGE, tmp_path), fleet / "public"
    root = (public / "metadata/1.root.json").read_text()
    settings = {"update_url": f"http://{SERVER}/", "update_name": NAME, "update_root": root}
    owned(card, key, **settings)
    board = Board(card, tmp_path, "virt", served=public)
    board.power_on()
    try:
        board.wait_for_shell()
        yield board
    finally:
        board.cut_power()


def in_fleet(folder: Path, *words: str) -> None:
    """A command of `device.fleet`."""
    command = [sys.executable, "-m", "device.fleet", words[0], f"--fleet={folder}", *words[1:]]
    environment = {name: value for name, value in os.environ.items() if "PASSPHRASE" not in name}
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def publish(fleet: Path, folder: Path) -> None:
    """The image's bundle under another name, for all boards."""
    files = contract.read_files(BUILD / "bundle.tar")
    manifest = contract.parse_manifest(files[contract.MANIFEST])
    renamed = {contract.MANIFEST: contract.seal_manifest({**manifest, "name": NEWER})}
    tar = folder / "newer.tar"
    tar.write_bytes(tar_bytes({**files, **renamed}))
    in_fleet(fleet, "publish", f"--name={NAME}", f"--bundle={tar}")
    in_fleet(fleet, "promote", f"--name={NAME}", "--percent=100")


def told(board: Board, stage: str) -> dict[str, Any]:
    """What the updater tells once a release has come so far; its timers would take longer."""
    ask = f"{COMMAND} update status --json"
    board.run(
        f'until systemctl start fieldguide-install && {ask} | grep \'"stage": "{stage}"\'; '
        "do sleep 5; done"
    )
    said: dict[str, Any] = json.loads(board.run(ask))
    return said


def test_a_board_updates_itself_although_its_power_is_cut_while_it_installs(
    board: Board, fleet: Path, tmp_path: Path
) -> None:
    settled(board)
    publish(fleet, tmp_path)
    # The units would ask by themselves within a quarter of an hour.
    board.send(
        f"(until {COMMAND} update now; do sleep 1; done) & "
        "until [ -e /var/lib/fieldguide/slots/new ]; do sleep 0.01; done; echo wri''ting"
    )
    board.wait_for_line("shell", "writing")
    board.cut_power()

    board.power_on()
    board.wait_for_shell()
    verified(board)
    board.run(active_within(PATIENCE_S))
    assert told(board, "trial")["latest"] == 1
    assert verified(board)["name"] == NEWER
    board.wait_for(LABELLED)
    # As the service does after ten minutes of labels.
    board.run(f"{COMMAND} slots confirm")
    last = told(board, "watch")
    assert (last["installed"], last["failed"], last["problem"]) == (1, [], "")
    # No time server is in reach.
    assert not last["verified"]
    board.power_off()
