"""`python -m tests.bench.scale`: the split of rendered photos, and of stand-ins; a page."""

import argparse
import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from device.console import guarded
from device.files import write_text
from tests.bench.scale import measured, pictures
from tests.bench.scale.features import MOST, REAL
from tests.bench.scale.measured import Measured
from tests.bench.scale.page import page, table

PAGE, RECORD = "scale.html", "scale.json"
PHOTOS = (10_000, 100_000)
ROWS = (10_000, 100_000, 1_000_000)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.scale", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/bench/split"))
    parser.add_argument("--photos", type=int, nargs="*", default=PHOTOS, help="rendered, read")
    parser.add_argument("--rows", type=int, nargs="*", default=ROWS, help="with stand-ins")
    parser.add_argument("--near", action="store_true", help="of rows, near copies alone")
    parser.add_argument("--weights", type=Path, default=Path("build/weights"))
    parser.add_argument("--flowers", type=Path, default=Path("../shared/flowers"))
    parser.add_argument("--numbers", type=int, default=1280, help="so many of each row's features")
    options = parser.parse_args(arguments)
    return guarded(lambda: run(options))


def run(options: argparse.Namespace) -> int:
    """Measure, print the table; page and record are written after each size."""
    options.out.mkdir(parents=True, exist_ok=True)
    found: list[Measured] = []
    for each in _all(options):
        found += each
        record = json.dumps([one.record() for one in found], indent=1)
        write_text(options.out / RECORD, record + "\n")
        write_text(options.out / PAGE, page(found))
    print(f"{table(found)}\npage: {options.out / PAGE}")
    return 0


def _all(options: argparse.Namespace) -> Iterator[list[Measured]]:
    for photos in options.photos:
        yield [_real(photos, options.out)]
    for rows in options.rows:
        real = () if options.near else (str(_features(options)), str(options.numbers))
        yield list(_stand_ins(rows, options.out / f"rows_{rows}", real))


def _real(photos: int, folder: Path) -> Measured:
    """`make data` of rendered photos."""
    data, out = folder / f"photos_{photos}", folder / f"split_{photos}"
    pictures.render(data, photos)
    shutil.rmtree(out, ignore_errors=True)
    command = ("-m", "train", "data", "--data", str(data), "--out", str(out))
    return measured.run("make data", photos, out, *command)[0]


def _features(options: argparse.Namespace) -> Path:
    """Features of real photos, or of rendered ones if there are no others."""
    path: Path = options.out / REAL
    if not path.exists():
        photos = options.flowers
        if not photos.is_dir():
            photos = options.out / "photos_of_features"
            pictures.render(photos, MOST)
        given = (str(photos), str(options.weights), str(options.out))
        measured.run("features", MOST, options.out, "-m", "tests.bench.scale.features", *given)
    return path


def _stand_ins(rows: int, out: Path, real: tuple[str, ...]) -> Iterator[Measured]:
    """Everything but reading and the network: the whole process, then each of its steps."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    command = ("-m", "tests.bench.scale.rows", str(rows), str(out), *real)
    whole, printed = measured.run("stand-ins, whole process", rows, out, *command)
    record = json.loads(printed.splitlines()[-1])
    print(rows, record["found"], file=sys.stderr)
    peak = max(step["peak_mib"] for step in record["steps"].values())
    yield replace(whole, peak_mib=peak)
    for name, step in record["steps"].items():
        yield Measured(name, rows, step["seconds"], step["processor_s"], step["peak_mib"], 0.0)


if __name__ == "__main__":
    sys.exit(main())
