"""A process that loads a bundle, classifies, and says what that took: `measure` starts it."""

import device.interrupt  # noqa: F401

import json
import sys
import time
from pathlib import Path

import numpy as np

from device.contract import bundle as contract
from device.inference.classifier import Classifier

WARM_UP, INFERENCES, ROUNDS = 3, 20, 5


def main(folder: str) -> None:
    """Print the processor time of an inference on one thread, and the highest memory, as JSON."""
    loaded = contract.load(Path(folder))
    classifier = Classifier.from_bundle(loaded, threads=1)
    classifier.set_input(loaded.golden_arrays()["inputs"][0])
    for _ in range(WARM_UP):
        classifier.invoke()
    # Other work on the machine empties caches and so adds time: the best round is nearest to the
    # truth.
    invoke_ms = min(float(np.median(_round_ms(classifier))) for _ in range(ROUNDS))
    runtime = f"{classifier.runtime.name} {classifier.runtime.version}"
    record = {"invoke_ms": round(invoke_ms, 3), "memory_mib": _memory_mib(), "runtime": runtime}
    print(json.dumps(record))


def _round_ms(classifier: Classifier) -> list[float]:
    times = []
    for _ in range(INFERENCES):
        started = time.process_time()
        classifier.invoke()
        times.append((time.process_time() - started) * 1e3)
    return times


def _memory_mib() -> float | None:
    """The highest resident memory so far; None where there is no /proc.

    Not `getrusage`: its figure begins with that of the process that started this one.
    """
    status = Path("/proc/self/status")
    lines = status.read_text("utf-8").splitlines() if status.exists() else []
    peak = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
    return round(int(peak[0]) / 1024, 1) if peak else None


if __name__ == "__main__":
    main(sys.argv[1])
