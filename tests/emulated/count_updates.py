"""Counts what a check costs an emulated board: `python -m tests.emulated.count_updates`.

A whole Python each time, as the unit starts it, with the wheels of the board's lock: signatures are
verified in plain Python. The server is a real one, on loopback.
"""

import argparse
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from device.contract import bundle as contract
from device.update import asked
from tests.emulated.support import qemu_user
from tests.emulated.support.arm_boards import SYSTEMS
from tests.emulated.support.qemu_user import BOARDS, Machine, machine
from tests.support.device.board import Board, offer
from tests.support.device.fleet import Fleet
from tests.support.device.release_server import serving
from tests.support.device.tiny_bundle import TAR
from tests.support.places import ROOT

PROGRAM = """
import runpy, sys
sys.argv += sys.stdin.read().splitlines()
try:
    runpy.run_module("device.update", run_name="__main__", alter_sys=True)
except SystemExit as end:
    assert not end.code, end.code
"""


def main(arguments: list[str] | None = None) -> int:
    """Print figures as JSON; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--core", choices=BOARDS, default="pi3")
    options = parser.parse_args(arguments)
    with TemporaryDirectory() as folder:
        made = machine(BOARDS[options.core], SYSTEMS["bookworm"], Path(folder) / "machine")
        print(json.dumps(measured(Path(folder), made), indent=1))
    return 0


def measured(folder: Path, made: Machine) -> dict[str, int]:
    """Instructions of Python alone, a check that fetches a release, and one that finds nothing."""
    fleet = Fleet(folder / "public", now=datetime.now(UTC))
    offer(fleet, contract.read_files(TAR))
    with serving(fleet.public) as server:
        board = Board(folder / "board", server.url, fleet.first_root)
        wanted = asked.Asked(url=server.url, name="birds", root=board.update.root, device="x")
        asked.write(board.places.asked, wanted)
        check = ["check", f"--fetched={board.places.fetched}", f"--asked={board.places.asked}"]
        return {
            "python": counted(made, folder, "pass", []),
            "a release": counted(made, folder, PROGRAM, check),
            "nothing new": counted(made, folder, PROGRAM, check),
        }


def counted(made: Machine, folder: Path, program: str, given: list[str]) -> int:
    """Instructions of one Python."""
    counter = folder / "count"
    counter.unlink(missing_ok=True)
    lines = "\n".join(given)
    done = made.python("-P", "-c", program, our_wheel=ROOT, given=lines, counter=counter)
    if done.returncode:
        raise qemu_user.EmulationError(done.stderr)
    return int(np.fromfile(counter, np.uint64)[0])


if __name__ == "__main__":
    sys.exit(main())
