"""Cuts updates of bundles short: `cut_updates.py ROOT TAR OTHER_TAR KILLS ONE_IN` prints figures.

First an update is killed before one in ONE_IN of the things that it does to the disk, one after the
other, then KILLS updates at random moments. After each, what is current must be one of the two
bundles, whole; after each random one the next update must succeed. Nothing is tidied between. In a
process of its own that is small and has one thread, so that it can fork.
"""

import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from device.contract import bundle
from device.update import slots

if TYPE_CHECKING:
    from _typeshed import FileDescriptorLike

WRITES = ("open", "os.mkdir", "os.chmod", "os.rename", "os.remove", "os.rmdir", "os.symlink")
"""Audit events of Python on what changes a disk; `os.fsync` raises none."""
TESTED = slots._tested
PATIENCE_S = 600.0


def fork(act: Callable[[], None]) -> int:
    """A child that acts; its process id."""
    child = os.fork()
    if child:
        return child
    try:
        act()
    finally:
        os._exit(0)


def wait_for_no_disk() -> None:
    """Bring nothing to the disk: a kill loses nothing that was written, and this takes longest."""
    os.fsync = lambda fd: None
    os.sync = lambda: None


def die_at(step: int) -> None:
    """Kill this process before so many steps are done."""
    done = count(1)

    def next_step() -> None:
        if next(done) == step:
            os.kill(os.getpid(), signal.SIGKILL)

    def sync(fd: "FileDescriptorLike", real: Callable[[Any], None] = os.fsync) -> None:
        next_step()
        real(fd)

    sys.addaudithook(lambda event, _arguments: next_step() if event in WRITES else None)
    os.fsync = sync


def was_killed(child: int) -> bool:
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


class Cutter:
    """A root with a bundle that is current, and another to update it to."""

    def __init__(self, root: Path, tars: list[Path]) -> None:
        self.root = root
        self.tars = {bundle.load(tar).manifest["manifest_sha256"]: tar for tar in tars}
        slots.install(tars[0], root)

    def current(self) -> str:
        """Which bundle is current; it loads, or this raises."""
        digest: str = bundle.load(self.root / slots.CURRENT).manifest["manifest_sha256"]
        assert digest in self.tars
        return digest

    def update(self, *, trial: bool = True) -> None:
        """Install the bundle that is not current."""
        current = self.current()
        other = next(tar for digest, tar in self.tars.items() if digest != current)
        slots.install(other, self.root, trial=trial)

    def at_each_step(self, one_in: int, *, trial: bool) -> int:
        """Cut before one step in so many, until one comes through; the last that was cut."""
        for step in count(1, one_in):
            child = fork(partial(self._cut, step, trial=trial))
            if not was_killed(child):
                return step - one_in
            self.current()
        raise AssertionError

    def _cut(self, step: int, *, trial: bool) -> None:
        die_at(step)
        self.update(trial=trial)

    def at_random(self, moments: random.Random) -> bool:
        """Cut one update anywhere, then let one through; whether the first was cut."""
        started_s = time.perf_counter()
        self.update()
        whole_s = time.perf_counter() - started_s
        child = fork(self.update)
        time.sleep(moments.uniform(0, whole_s))
        os.kill(child, signal.SIGKILL)
        cut = was_killed(child)
        before = self.current()
        self.update()
        assert self.current() != before
        return cut


def untested(loaded: bundle.Bundle, load_timeout_s: float) -> str:
    """Pass without a self-test, which reads and writes nothing in the folders of an update."""
    return "none"


def tested(loaded: bundle.Bundle, load_timeout_s: float) -> str:
    """The real self-test, which a machine that does much else may make slow."""
    return TESTED(loaded, PATIENCE_S)


def main(root: Path, tars: list[Path], kills: int, one_in: int) -> None:
    """Print how often updates were cut."""
    wait_for_no_disk()
    cutter = Cutter(root, tars)
    # Without the self-test every kill hits what an update does to the disk.
    slots._tested = untested
    # From what is kept, from a trial, and by a person from a trial.
    steps = sum(cutter.at_each_step(one_in, trial=trial) for trial in (True, True, False))
    moments, cut = random.Random(0), 0
    for number in range(kills):
        slots._tested = tested if number % 4 == 0 else untested
        cut += cutter.at_random(moments)
    print(json.dumps({"steps": steps, "kills": kills, "cut": cut}))


if __name__ == "__main__":
    main(
        Path(sys.argv[1]),
        [Path(name) for name in sys.argv[2:4]],
        int(sys.argv[4]),
        int(sys.argv[5]),
    )
