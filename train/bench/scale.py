"""How time and memory of training grow with the number of photos: up to 10,000 rendered ones.

Each size is split and trained in separate processes, by the commands that `make` uses. Two epochs
on two views are enough: it is the work per epoch and per view that grows with the photos.
"""

import device.interrupt  # noqa: F401

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Any

from device import child
from device.console import guarded
from device.workstation.training import TIMINGS, Timings
from train.data.rendered import CLASS_NAMES, render_data_set
from train.errors import TrainingError

SIZES = (1250, 2500, 5000, 10_000)
EPOCHS = VIEWS = 2


def measure(photos: int, folder: Path, weights: Path) -> dict[str, Any]:
    """Split and train on this many rendered photos.

    Returns:
        The number of photos, seconds and peak memory of training, and the size of the caches on
        disk.

    Raises:
        TrainingError: if a command fails.
    """
    data, out = folder / f"rendered_{photos}", folder / f"build_{photos}" / "train"
    render_data_set(data, photos_per_class=photos // len(CLASS_NAMES))
    settings = ["--epochs", str(EPOCHS), "--views", str(VIEWS), "--weights", str(weights)]
    for command in (["data", "--data", str(data)], ["fit", *settings]):
        done = subprocess.run(
            child.command("-m", "train", *command, "--out", str(out)),
            stdout=sys.stderr,
            env=child.environment(),
            check=False,
        )
        if done.returncode:
            raise TrainingError(f"training on {photos} rendered photos failed; see above")
    timings = Timings.read(out / TIMINGS)
    cache = sum(path.stat().st_size for path in (out.parent / "cache").iterdir())
    return {
        "photos": photos,
        "seconds": timings.seconds,
        "peak_memory_mib": timings.peak_memory_mib,
        "cache_mib": round(cache / 2**20),
    }


def table(rows: list[dict[str, Any]]) -> str:
    """One row per size, also with the seconds per 1,000 photos."""
    lines = [f"{'photos':>7}{'seconds':>9}{'a 1,000':>9}{'peak MiB':>10}{'cache MiB':>11}"]
    for row in rows:
        seconds = sum(row["seconds"].values())
        lines.append(
            f"{row['photos']:>7,}{seconds:>9.0f}{1000 * seconds / row['photos']:>9.1f}"
            f"{row['peak_memory_mib']:>10,}{row['cache_mib']:>11,}"
        )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m train.bench.scale",
        description="Measure time and memory of training on growing numbers of rendered photos.",
    )
    parser.add_argument("--weights", type=Path, default=Path("build/weights"))
    parser.add_argument("--out", type=Path, default=Path("build/bench/scale"))
    parser.add_argument("--photos", type=int, nargs="+", default=SIZES, metavar="N")
    options = parser.parse_args(arguments)

    def run() -> int:
        rows = [measure(photos, options.out, options.weights) for photos in options.photos]
        print(table(rows))
        return 0

    return guarded(run)


if __name__ == "__main__":
    sys.exit(main())
