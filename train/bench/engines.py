"""What a Ray cluster costs beside the threads of one machine: processor time a photo, and to begin.

Both compute the same features of the same rendered photos: two threads, and two nodes of one core
each on this machine. Processor time of all processes is counted, not seconds, so that other work on
the machine matters less. Two numbers of photos tell what a photo costs from what beginning costs.
"""

import device.interrupt  # noqa: F401

import argparse
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from device.console import guarded
from device.contract.preprocess import Preprocessing
from device.errors import UsageError
from device.workstation.engine.local import Local
from device.workstation.engine.on_ray import OnRay
from device.workstation.engine.work import Engine, Work
from device.workstation.photo_files import PhotoFiles
from device.workstation.quiet import quiet_tensorflow
from train.data.dataset import scan
from train.data.listed import load_listed
from train.data.rendered import render_data_set

if TYPE_CHECKING:
    from train.network.frozen import OfPicture

FEW, MANY = 320, 6_400
STORE_BYTES = 200 * 2**20
LOOK_S = 0.25
END_S = 3.0
"""Time for workers to end."""
RULES = Preprocessing()


@dataclass(frozen=True)
class Cost:
    """Processor seconds of an engine."""

    begin_s: float
    photo_s: float

    @classmethod
    def of(cls, few_s: float, many_s: float, few: int, many: int) -> "Cost":
        """From what two numbers of photos took."""
        photo_s = (many_s - few_s) / (many - few)
        return cls(few_s - few * photo_s, photo_s)


class Watch:
    """Counts the processor time of this process and all below it while they live.

    Those that have ended are not in their parent's account: Ray does not wait for its workers.
    """

    def __init__(self) -> None:
        self._seen: dict[int, float] = {}
        self._own_s = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Watch":
        self._before = _times()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        # Workers that are told to end are looked at until they have.
        time.sleep(END_S)
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(LOOK_S):
            self._seen |= _times()
        self._own_s = time.thread_time()

    @property
    def seconds(self) -> float:
        """Of all processes, without what looking at them took."""
        spent = sum(total - self._before.get(pid, 0.0) for pid, total in self._seen.items())
        return spent - self._own_s


def _times() -> dict[int, float]:
    """User and system time of this process and all below it, by process."""
    found = dict(_processes())
    mine = {os.getpid()}
    while more := {pid for pid, (parent, _) in found.items() if parent in mine} - mine:
        mine |= more
    return {pid: found[pid][1] for pid in mine}


def _processes() -> Iterator[tuple[int, tuple[int, float]]]:
    tick = os.sysconf("SC_CLK_TCK")
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            # Not those of children: they are counted themselves.
            yield int(entry.name), (int(fields[1]), sum(map(int, fields[11:13])) / tick)


def measure(engine: Engine, works: Sequence[Work[Any, Any]]) -> Cost:
    """What one engine takes for two works, the smaller one first.

    The smaller one is done once before, so that what a cluster starts only once counts for neither.
    """
    taken = []
    for work in (works[0], *works):
        with Watch() as watch:
            for _ in engine.run(work, lambda: None):
                pass
        taken.append(watch.seconds)
    few, many = works
    return Cost.of(taken[1], taken[2], few.count, many.count)


def features_task(weights: Path) -> "OfPicture":
    """The task of computing features, as the audit does."""
    with quiet_tensorflow():
        import keras

        from train.network.backbone import Architecture, build, load_weights
        from train.network.backbones import BACKBONES, DEFAULT
        from train.network.fetch_weights import fetch_weights
        from train.network.frozen import Frozen, OfPicture
    source = str(fetch_weights(weights, BACKBONES[DEFAULT].checkpoint))
    network = build(Architecture(), load_weights(source, Architecture()))
    pooled = keras.layers.GlobalAveragePooling2D()(network.output)
    return OfPicture(Frozen.of(keras.Model(network.input, pooled)))


def _works(folder: Path, weights: Path, counts: tuple[int, ...]) -> list[Work[Any, Any]]:
    task = features_task(weights)
    photos, files = scan(folder, RULES), PhotoFiles(folder)
    pictures = [partial(load_listed, files, each.path, each.sha256, RULES) for each in photos]
    repeated = [pictures[i % len(pictures)] for i in range(max(counts))]
    return [Work.of(task, repeated[:count], f"{count} photos") for count in counts]


def compare(folder: Path, weights: Path, few: int, many: int) -> tuple[Cost, Cost]:
    """The costs of the local engine and of the cluster."""
    import ray
    from ray.cluster_utils import Cluster

    works = _works(folder, weights, (few, many))
    local = measure(Local(2), works)
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    head = {"num_cpus": 0, "object_store_memory": STORE_BYTES, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        for _ in range(2):
            cluster.add_node(num_cpus=1, object_store_memory=STORE_BYTES)
        with tempfile.TemporaryDirectory() as store:
            engine = OnRay(cluster.address, store, os.getcwd())
            return local, measure(engine, works)
    finally:
        ray.shutdown()
        cluster.shutdown()


def table(local: Cost, on_ray: Cost) -> str:
    """Both, and their ratio."""
    lines = [f"{'':8}{'ms a photo':>12}{'s to begin':>12}"]
    for name, cost in (("local", local), ("ray", on_ray)):
        lines.append(f"{name:8}{1000 * cost.photo_s:>12.2f}{cost.begin_s:>12.1f}")
    return "\n".join([*lines, f"ray / local, a photo: {on_ray.photo_s / local.photo_s:.3f}"])


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m train.bench.engines", description=__doc__)
    parser.add_argument("--weights", type=Path, default=Path("build/weights"))
    parser.add_argument("--photos", type=Path, default=Path("data/rendered_flowers"))
    parser.add_argument("--few", type=int, default=FEW)
    parser.add_argument("--many", type=int, default=MANY)
    options = parser.parse_args(arguments)

    def run() -> int:
        if not 0 < options.few < options.many:
            raise UsageError("--few must be below --many")
        render_data_set(options.photos, photos_per_class=200)
        print(table(*compare(options.photos, options.weights, options.few, options.many)))
        return 0

    return guarded(run)


if __name__ == "__main__":
    sys.exit(main())
