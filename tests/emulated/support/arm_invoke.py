"""What `tests/emulated/count_sweep.py` runs on an emulated board: one inference, counted.

It knows no other module of the tests: only the device's wheel and its locks' wheels are there.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from device.contract import bundle
from device.inference.classifier import Classifier


def main(job: dict[str, Any]) -> None:
    """Print the instructions of one inference on one thread, and the runtime."""
    loaded = bundle.load(Path(job["bundle"]))
    classifier = Classifier.from_bundle(loaded, threads=1)
    counted = np.memmap(job["counter"], np.uint64, mode="r")
    classifier.set_input(loaded.golden_arrays()["inputs"][0])
    classifier.invoke()
    before = int(counted[0])
    classifier.invoke()
    found = int(counted[0]) - before
    runtime = f"{classifier.runtime.name} {classifier.runtime.version}"
    print(json.dumps({"instructions": found, "runtime": runtime}))


if __name__ == "__main__":
    main(json.loads(sys.stdin.read()))
