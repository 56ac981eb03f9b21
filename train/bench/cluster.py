"""What many photos would take on a cluster, on paper: what one takes here, times photos by cores.

What is done to each photo is measured on one core of this machine, on photos of yours. What the
driver does alone, on one core whatever the cluster has, is given by `--driver-ms`, as `make
bench-scale` found it. Nothing is measured on a cluster: disks, networks, nodes that wait for one
another and other processors are not in it.
"""

import device.interrupt  # noqa: F401

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from device.console import guarded
from device.contract.preprocess import Preprocessing
from device.errors import UsageError
from device.workstation.engine.local import Local
from device.workstation.engine.work import Work
from device.workstation.photo_files import PhotoFiles
from train.bench.engines import features_task
from train.data.dataset import scan
from train.data.listed import load_listed

RULES = Preprocessing()
HOUR_S = 3600.0
DRIVER_MS = 0.46
"""Of stand-ins: split, record and files, read again, what is alike; 100,000 rows."""
PHOTOS = (10**6, 10**7)


@dataclass(frozen=True)
class Costs:
    """Processor milliseconds of one photo."""

    read_ms: float
    """Reading, decoding, hashing, what it looks like in small."""
    features_ms: float
    """Reading it again, and the untouched network."""
    driver_ms: float
    """What one core does, whatever there is else."""

    def hours(self, photos: int, cores: int) -> tuple[float, float, float]:
        """Of reading, of features, of the driver."""
        shared = photos / cores / 1000 / HOUR_S
        alone = photos / 1000 / HOUR_S
        return self.read_ms * shared, self.features_ms * shared, self.driver_ms * alone


def measure(folder: Path, weights: Path, count: int, driver_ms: float) -> Costs:
    """What photos of a folder take on one core of this machine.

    Raises:
        UsageError: if it has no usable photos.
    """
    began = time.process_time()
    photos = scan(folder, RULES)
    read_s = time.process_time() - began
    good = [photo for photo in photos if not photo.problem][:count]
    if not good:
        raise UsageError(f"{folder}: no usable photos")
    files = PhotoFiles(folder)
    items = [partial(load_listed, files, each.path, each.sha256, RULES) for each in good]
    work = Work.of(features_task(weights), items, "features")
    began = time.process_time()
    for _ in Local(1).run(work, lambda: None):
        pass
    features_s = time.process_time() - began
    return Costs(1000 * read_s / len(photos), 1000 * features_s / len(good), driver_ms)


def table(costs: Costs, cores: int, photos: Sequence[int] = PHOTOS) -> str:
    """Hours for each number of photos."""
    lines = [
        f"a photo: {costs.read_ms:.2f} ms to read, {costs.features_ms:.2f} ms for features, "
        f"{costs.driver_ms:.2f} ms of the driver alone",
        f"hours on {cores} cores:",
        f"{'photos':>12}{'read':>8}{'features':>10}{'driver':>8}{'sum':>8}",
    ]
    for count in photos:
        read, features, driver = hours = costs.hours(count, cores)
        parts = f"{read:>8.2f}{features:>10.2f}{driver:>8.2f}{sum(hours):>8.2f}"
        lines.append(f"{count:>12,}{parts}")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m train.bench.cluster", description=__doc__)
    parser.add_argument("--photos", type=Path, required=True, help="a folder of class folders")
    parser.add_argument("--weights", type=Path, default=Path("build/weights"))
    parser.add_argument("--count", type=int, default=500, help="photos whose features are computed")
    parser.add_argument("--cores", type=int, default=64)
    parser.add_argument("--driver-ms", type=float, default=DRIVER_MS)
    options = parser.parse_args(arguments)

    def run() -> int:
        costs = measure(options.photos, options.weights, options.count, options.driver_ms)
        print(table(costs, options.cores))
        return 0

    return guarded(run)


if __name__ == "__main__":
    sys.exit(main())
