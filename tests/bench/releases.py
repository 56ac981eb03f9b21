"""What updates cost a board: `python -m tests.bench.releases --bundle build/bundle.tar`.

Bytes on the wire, memory and processor time of both processes, each a new Python as a unit starts
it, and with `--count` the instructions of a check that finds nothing new, by valgrind.
`cryptography` is hidden from them: boards have none, so signatures are verified in plain Python.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from device import child
from device.contract import bundle as contract
from device.telemetry.updates import read, write
from device.update import asked, slots
from device.update.state import STATE_FILE, Checks
from tests.support.device.board import Board, offer
from tests.support.device.fleet import Fleet
from tests.support.device.release_server import serving
from tests.support.device.tiny_bundle import TAR
from tests.support.places import ROOT

PROGRAM = """
import resource, runpy, sys
sys.modules["cryptography"] = None
try:
    runpy.run_module("device.update", run_name="__main__")
except SystemExit as end:
    assert not end.code, end.code
used = resource.getrusage(resource.RUSAGE_SELF)
(most,) = [line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")]
print("used", int(most) / 1000, used.ru_utime + used.ru_stime)
"""
UNITS = ROOT / "device" / "deploy"
COUNTER = ("valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null")


class Parts:
    """The two processes of one board."""

    def __init__(self, board: Board, folder: Path) -> None:
        self.board, self.config = board, folder / "fieldguide.toml"
        self.config.write_text(
            f'[bundle]\npath = "{board.slots}/current"\n'
            f'[output.collect]\npath = "{board.slots}/collected"\n'
            f'[update]\nenabled = true\nname = "birds"\nurl = "{board.url}"\n'
            f'root = "{board.update.root}"\n'
        )

    def command(self, part: str) -> list[str]:
        places = self.board.places
        return [
            *child.command("-c", PROGRAM, "run", "--part", part, "--config", str(self.config)),
            *("--fetched", str(places.fetched), "--asked", str(places.asked)),
        ]

    def environment(self, part: str) -> dict[str, str]:
        """As the unit sets it."""
        unit = {"install": "fieldguide-install.service", "fetch": "fieldguide-update.service"}
        text = (UNITS / unit[part]).read_text()
        lines = re.findall("^Environment=(.*)$", text, re.M)
        pairs = [word.partition("=") for line in lines for word in line.split()]
        return {**child.environment(), **{name: value for name, _, value in pairs}}

    def run(self, part: str) -> dict[str, float]:
        """Memory, MB, and processor time, seconds."""
        # Its own most memory begins with that of who starts it, unless a shell is in between.
        line = ["sh", "-c", '"$@"; exit $?', "sh", *self.command(part)]
        done = subprocess.run(line, env=self.environment(part), capture_output=True, text=True)
        if done.returncode:
            sys.exit(done.stderr)
        memory, time_s = re.findall(r"^used (\S+) (\S+)$", done.stdout, re.M)[0]
        return {"memory_mb": round(float(memory), 1), "cpu_s": round(float(time_s), 2)}

    def count(self, part: str) -> int:
        """Instructions."""
        line = [*COUNTER, *self.command(part)]
        done = subprocess.run(line, env=child.environment(), capture_output=True, text=True)
        (total,) = re.findall(r"I\s+refs:\s+([\d,]+)", done.stderr)
        return int(total.replace(",", ""))

    def make_due(self) -> None:
        path = self.board.places.fetched / STATE_FILE
        known = read(Checks, path)
        write(path, Checks(**{**vars(known), "due_s": 0.0}))


def main() -> None:
    """Print figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--count", action="store_true", help="instructions, by valgrind")
    options = parser.parse_args()
    if options.count and shutil.which(COUNTER[0]) is None:
        sys.exit("valgrind is not here")
    with TemporaryDirectory() as folder:
        print(json.dumps(measured(Path(folder), options.bundle, count=options.count), indent=1))


def measured(folder: Path, bundle: Path, *, count: bool) -> dict[str, object]:
    """All figures."""
    fleet = Fleet(folder / "public", now=datetime.now(UTC))
    offer(fleet, contract.read_files(bundle))
    found: dict[str, object] = {}
    with serving(fleet.public) as server:
        board = Board(folder / "board", server.url, fleet.first_root)
        slots.install(TAR, board.slots)
        board.serve()
        parts = Parts(board, folder)
        wanted = asked.Asked(url=server.url, name="birds", root=board.update.root, device="x")
        asked.write(board.places.asked, wanted)
        found["fetch a release"] = {**parts.run("fetch"), "bytes": server.sent_bytes}
        parts.make_due()
        server.sent_bytes = 0
        found["find nothing new"] = {**parts.run("fetch"), "bytes": server.sent_bytes}
        if count:
            parts.make_due()
            found["instructions of that"] = parts.count("fetch")
        found["not due"] = parts.run("fetch")
        found["install it"] = parts.run("install")
        found["judge it"] = parts.run("install")
    return found


if __name__ == "__main__":
    main()
