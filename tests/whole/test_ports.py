"""What tests that run beside each other rely on: nobody is given a port that is another's."""

import subprocess
import sys

from tests.support.places import ROOT
from tests.support.ports import MOST_CLAIMS

PROCESSES = 3
ASK = f"""
from tests.support.ports import free_port
print(*(free_port() for _ in range({MOST_CLAIMS})), flush=True)
input()
"""


def test_no_port_is_given_twice_whoever_asks() -> None:
    asking = [
        subprocess.Popen(
            [sys.executable, "-c", ASK],
            cwd=ROOT,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for _ in range(PROCESSES)
    ]
    given: list[str] = []
    # None ends, and gives its ports back, before all have theirs.
    for process in asking:
        assert process.stdout is not None
        given += process.stdout.readline().split()
    for process in asking:
        process.communicate("\n")
        assert process.returncode == 0
    assert len(set(given)) == len(given) == PROCESSES * MOST_CLAIMS
