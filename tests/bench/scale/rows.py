"""`python -m tests.bench.scale.rows PHOTOS OUT REAL NUMBERS`: rows with stand-ins, no network.

Their features are made of the real ones in the file REAL, of each of which the first NUMBERS count.
Without both, near copies alone are looked for.

One process, so that its peak memory is that of what the driver of a training does.
"""

import json
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from device.contract.moments import Moment
from device.workstation.events import listed
from device.workstation.training import EVENTS, SPLIT
from tests.bench.scale import pictures
from tests.bench.scale.features import FEATURES, Floats
from tests.bench.scale.features import made as made_of
from train.columns import in_order, values_of
from train.curate.alike import find_alike
from train.curate.apart import events_apart
from train.curate.audit import mislabels, outliers
from train.data.events.copies import joined
from train.data.events.groups import NEAR_IDENTICAL_CORRELATIONS, near_identical
from train.data.looks import Looks, Small
from train.data.photo import SILENT, Photo, thumbnails, together
from train.data.record import describe, table
from train.data.split import Row, assign, parts_of_csv, read_csv

CAMERAS = 1000


class _Watch:
    """Seconds of the steps, and the peak of memory in each."""

    def __init__(self) -> None:
        self.steps: dict[str, dict[str, float]] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        # From here on Linux tells the peak anew; elsewhere it is that of all steps so far.
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")
        began, processor = time.perf_counter(), time.process_time()
        yield
        self.steps[name] = {
            "seconds": round(time.perf_counter() - began, 2),
            "processor_s": round(time.process_time() - processor, 2),
            "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        }
        print(name, self.steps[name], file=sys.stderr, flush=True)


def main(photos: int, out: Path, real: str = "", numbers: str = "") -> None:
    """Run all steps, or those up to the near copies alone; prints a record of them."""
    watch, looks = _Watch(), Looks(out)
    with watch.step("stand-ins"):
        made = together(_photos(photos, looks), out)
    with watch.step("near copies alone"), threadpool_limits(1, "blas"):
        pairs = near_identical(thumbnails(made), NEAR_IDENTICAL_CORRELATIONS[0])
        groups = len(np.unique(joined(np.arange(photos), pairs)))
    found = {"groups": groups, "looks_mib": round(looks.count * (256 + 1024) * 3 / 2**20, 1)}
    if real:
        features = np.load(real)[:, : int(numbers)]
        found |= _split(made, out, watch, features)
    print(json.dumps({"photos": photos, "steps": watch.steps, "found": found}))


def _split(made: Sequence[Photo], out: Path, watch: _Watch, real: Floats) -> dict[str, float]:
    """All steps after the near copies; gives what they found."""
    with watch.step("split"):
        rows = assign(made)
    with watch.step("record and files"):
        record = describe(out, rows)
        shown = table(record.data, rows)
        for name, parts in (
            (SPLIT, parts_of_csv(rows)),
            (EVENTS, listed.parts_of_csv((row.path, row.group, row.place) for row in rows)),
        ):
            with (out / name).open("w", encoding="utf-8", newline="") as file:
                file.writelines(parts)
    with watch.step("read again"):
        read = len(read_csv(out / SPLIT)), len(listed.read_occasions(out / EVENTS))
    return {
        **_audit(made, rows, real, out, watch),
        "rows": read[0],
        "lines": len(shown.splitlines()),
        "files_mib": round((out / SPLIT).stat().st_size / 2**20, 1),
    }


def _audit(
    made: Sequence[Photo], rows: Sequence[Row], real: Floats, out: Path, watch: _Watch
) -> dict[str, float]:
    """What `make audit` does once it has features; gives how much it found."""
    labels = sorted(set(values_of(rows, "label")))
    with watch.step("audit: features made"):
        features = made_of(rows, real, labels, out)
    with watch.step("audit: what is alike"):
        alike = find_alike(rows, thumbnails(in_order(made, "path")), features)
    with watch.step("audit: labels"):
        suspects, judge = mislabels(rows, labels, features)
    with watch.step("audit: outliers"):
        strange = outliers(rows, features)
    with watch.step("audit: events apart"):
        apart = events_apart(rows, features, alike)
    return {
        "alike": len(alike),
        "suspects": len(suspects),
        "judge": round(judge.accuracy if judge else 0, 4),
        "outliers": len(strange),
        "apart": len(apart),
        "features_mib": round((out / FEATURES).stat().st_size / 2**20),
    }


def _photos(count: int, looks: Looks) -> Iterator[Photo]:
    number = 0
    # As reading files gives them: what is the same of many photos is one object.
    labels = [f"class {each}" for each in range(pictures.CLASSES)]
    cameras = [f"camera {each}" for each in range(CAMERAS)]
    for block in pictures.details(count):
        small = block.reshape(-1, 16, 2, 16, 2, 3).mean((2, 4)).astype(np.uint8)
        for pixels, detail in zip(small, block, strict=True):
            label, digest = labels[number % len(labels)], sha256(b"%d" % number).hexdigest()
            # Half of the photos say when they were taken, by one of many cameras.
            camera = cameras[number % len(cameras)]
            yield Photo(
                f"{label}/{digest[:16]}.jpg",
                label,
                digest,
                looks.keep(Small(pixels, detail)),
                moment=Moment(camera, True, seconds=number * 97.0) if number % 2 else SILENT,
            )
            number += 1


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
