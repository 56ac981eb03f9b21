"""What `tests/bench/look/instructions.py` runs on an emulated board: looks, counted.

It knows no other module of the tests: only the device's package and its locks' wheels are there.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from device.contract.look.change import Background
from device.contract.look.looker import Looker
from device.contract.look.rules import LookRules

STEPS_MS = (1, 250)
"""Between frames: no step of the background is due, or one at each."""
WARM = 4
"""So many looks at first also fetch what is needed, and are not counted."""


def main(job: dict[str, Any]) -> None:
    """Print the medians of a look by film, without and with a step, and what was seen."""
    counted = np.memmap(job["counter"], np.uint64, mode="r")
    found = {}
    for name, path in job["films"].items():
        with np.load(Path(path)) as film:
            arrays = dict(film)
        found[name] = [looked(arrays, step_ms, lambda: int(counted[0])) for step_ms in STEPS_MS]
    print(json.dumps(found))


def looked(film: dict[str, Any], step_ms: int, now: Callable[[], int]) -> dict[str, Any]:
    """The median instructions of a look at a film's frames, and what they show."""
    looker = Looker(LookRules(), Background(film["cells"], film["spread"]))
    spent, seen = [], set[str]()
    for number, frame in enumerate(film["frames"]):
        before = now()
        outcome = looker.see(frame, number * step_ms)
        spent.append(now() - before)
        seen.add(outcome.seen.value)
    return {"instructions": int(np.median(spent[WARM:])), "seen": sorted(seen)}


if __name__ == "__main__":
    main(json.loads(sys.stdin.read()))
