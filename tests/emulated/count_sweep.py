"""Counts the instructions of an inference of each trial on emulated processors: `make sweep-arm`.

What was counted is kept beside the trial, and is counted again only if its model is another.
"""

import argparse
import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from convert.sweep.trial import INSTRUCTIONS, Figures, Instructions, read_counts, read_trials
from device import console
from device.errors import FieldguideError, UsageError
from tests.emulated.support import qemu_user
from tests.emulated.support.arm_boards import SYSTEMS
from tests.emulated.support.qemu_user import BOARDS, Machine, machine
from tests.support.places import BUILD

PROGRAM = Path(__file__).parent / "support" / "arm_invoke.py"
NEEDED = ("apt-get", "dpkg-deb", "cc")
AT_ONCE = 2


class CountError(FieldguideError):
    """An emulated board could not run a model: the message says which."""


@dataclass(frozen=True)
class Boards:
    """Emulated boards by core, and the device's wheel for them."""

    machines: dict[str, Machine]
    wheel: Path
    folder: Path

    def count(self, core: str, bundle: Path) -> tuple[str, int, str]:
        """The core's name, the instructions of one inference on it, and the runtime."""
        counter = self.folder / f"{core}-{bundle.parent.name}.count"
        job = json.dumps({"bundle": str(bundle.resolve()), "counter": str(counter)})
        program = ("-P", PROGRAM)
        board = self.machines[core]
        done = board.python(*program, our_wheel=self.wheel, given=job, counter=counter)
        if done.returncode:
            said = done.stderr.strip().splitlines() or ["it says nothing"]
            raise CountError(f"{bundle} on an emulated {core}: {said[-1]}")
        found = json.loads(done.stdout)
        return BOARDS[core].cpu, int(found["instructions"]), str(found["runtime"])


@contextmanager
def boards(cores: Sequence[str]) -> Iterator[Boards]:
    """Start: fetch what is not there yet, and unpack the wheel."""
    (wheel,) = (BUILD / "wheel").glob("*.whl")
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        qemu_user.unpack_wheel(wheel, folder / "wheel")
        # Made here and not by the threads, which would all begin to.
        _ = qemu_user.qemu(), qemu_user.counting_plugin()
        system = SYSTEMS["bookworm"]
        machines = {core: machine(BOARDS[core], system, folder / core) for core in cores}
        yield Boards(machines, folder / "wheel", folder)


def waiting(sweep: Path, cores: Sequence[str]) -> list[tuple[Path, Figures]]:
    """The folders of the trials that are not counted on all cores, with their figures."""
    found = []
    for trial in read_trials(sweep)[1]:
        if trial.figures is not None:
            folder = sweep / trial.name
            known = read_counts(folder, trial.figures)
            if not {BOARDS[core].cpu for core in cores} <= set(known):
                found.append((folder, trial.figures))
    return found


def run(sweep: Path, cores: Sequence[str]) -> None:
    """Count what is not counted yet."""
    trials = waiting(sweep, cores)
    if not trials:
        return
    with boards(cores) as started, ThreadPoolExecutor(AT_ONCE) as pool:
        for folder, figures in trials:
            counted = list(pool.map(partial(started.count, bundle=folder / "bundle"), cores))
            by_core = {**read_counts(folder, figures), **{cpu: n for cpu, n, _ in counted}}
            record = Instructions(figures.model_sha256, counted[0][2], by_core)
            record.write(folder / INSTRUCTIONS)
            shown = ", ".join(f"{cpu} {n / 1e6:.1f}" for cpu, n in by_core.items())
            console.say(f"{folder.name}: {shown} million instructions")


def command(options: argparse.Namespace) -> int:
    """Check what is needed, and count."""
    cores = options.cores.split()
    if unknown := sorted(set(cores) - set(BOARDS)):
        raise UsageError(f"CORES={' '.join(unknown)}: choose of {', '.join(BOARDS)}")
    if missing := [name for name in NEEDED if shutil.which(name) is None]:
        raise UsageError(f"no {missing[0]}: instructions cannot be counted here")
    try:
        run(options.sweep, cores)
    except qemu_user.EmulationError as error:
        raise CountError(str(error)) from error
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line; returns the exit status."""
    parser = console.Parser(prog="python -m tests.emulated.count_sweep", description=__doc__)
    parser.add_argument("--sweep", type=Path, default=Path("build/sweep"))
    parser.add_argument("--cores", default=" ".join(BOARDS), help="default: %(default)s")
    parser.set_defaults(command=command)
    return console.run(parser, arguments)


if __name__ == "__main__":
    sys.exit(main())
