"""The driver's memory does not grow with the number of photos."""

import subprocess
import sys
from pathlib import Path

import pytest

from device.workstation.engine.work import CHUNK
from tests.scale.conftest import Nodes
from tests.support.places import ROOT

FEW, MANY = 10_000, 1_000_000
GROWTH = 0.1
"""Of the peak: the lists of parts are not all of one length."""

PROGRAM = """
import resource, sys
from device.workstation.engine.on_ray import OnRay
from device.workstation.engine.work import CHUNK, Work
from tests.scale.stubs import Stub
address, store, root, count = sys.argv[1:]
engine = OnRay(address, store, root)
rows = engine.run(Work(Stub(), range(int(count)), "rows", lambda: count), lambda: None)
assert sum(1 for _ in rows) == int(count)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def peak_mib(nodes: Nodes, store: Path, count: int) -> float:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, nodes.address, str(store), str(ROOT), str(count)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return float(done.stdout)


@pytest.mark.slow
def test_the_drivers_memory_is_flat_from_ten_thousand_rows_to_a_million(
    nodes: Nodes, tmp_path: Path
) -> None:
    few, many = (peak_mib(nodes, tmp_path, count) for count in (FEW, MANY))
    print(f"{few:.0f} MiB for {FEW:,} rows, {many:.0f} MiB for {MANY:,} in chunks of {CHUNK}")
    assert many <= (1 + GROWTH) * few
