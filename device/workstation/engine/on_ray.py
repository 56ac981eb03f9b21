"""The engine that spreads work over a Ray cluster.

Ray Data moves numbers of parts to a pool of warm workers, restarts what dies and follows nodes that
come and go. Items and results go through files that all nodes share, so that nothing that is done
is done again, whoever is killed, and no process holds more than a part.
"""

import pickle
import re
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from device.errors import ClusterError, one_line
from device.workstation.engine.cluster import Cluster, connected
from device.workstation.engine.code import code_key
from device.workstation.engine.kept import Kept
from device.workstation.engine.local import Local
from device.workstation.engine.progress import tell
from device.workstation.engine.work import Advance, Item, Result, Work
from device.workstation.engine.worker import Part, Report, Worker

PARTS_A_CORE = 8
"""At least, if there are as many chunks: so that cores end at about the same time."""
MOST_CHUNKS = 16
"""Of a part; but there are at most `MOST_PARTS`."""
MOST_PARTS = 4_000
"""The driver's memory grows with the number of parts."""
PATIENCE_S = 20.0
"""After so long without a report people are told what is waited for."""
MOST_ERROR = 300
"""Longest error of Ray's that is repeated."""
_ERROR = re.compile(r"^[\w.]*(Error|Exception)\b.*", re.MULTILINE)


@dataclass(frozen=True)
class OnRay:
    """A Ray cluster."""

    address: str
    """As `ray.init` takes it."""
    store: str
    """A folder, or what fsspec takes, that all nodes can read and write."""
    folder: str
    """Where this process runs."""

    def run(self, work: Work[Item, Result], advance: Advance) -> Generator[Result, None, None]:
        """As `Engine.run`: everything is done before the first result is given.

        Raises:
            UsageError: if the address is none, or Ray is not installed.
            ClusterError: if the cluster cannot do it; what is done is kept for the next time.
        """
        if work.here or work.count == 0:
            yield from Local().run(work, advance)
            return
        cluster = connected(self.address)
        key = f"{work.key().removesuffix('.f16')}-{code_key()}"
        kept = Kept(f"{self.store.rstrip('/')}/{_name(work.description)}", key)
        _Run(cluster, kept, work, self.folder).do(advance)
        yield from _results(kept, work)
        kept.remove()


@dataclass(frozen=True)
class _Run:
    cluster: Cluster
    kept: Kept
    work: Work[Any, Any]
    folder: str

    def do(self, advance: Advance) -> None:
        """Do what is not done yet."""
        self.kept.forget_begun()
        known, begun, reports = self.kept.done(), time.monotonic(), []
        parts = [part for part in self._parts() if not known.issuperset(part.chunks)]
        _advance(advance, self.work.count - sum(self._left(part, known) for part in parts))
        with self._telling() as first_report:
            for report in self._reports(parts):
                first_report()
                if report.error:
                    raise report.error
                for chunk, results in report.unwritten:
                    self.kept.write_done(chunk, results)
                reports.append((report.worker, report.computed, report.seconds))
                _advance(advance, self._left(report.part, known))
        if parts:
            self._summarise(time.monotonic() - begun, reports)

    @contextmanager
    def _telling(self) -> Iterator[Callable[[], None]]:
        """Says what is waited for, unless the function that is given is called before."""
        said = (
            f"{self.work.description}: no worker has done a part yet. Each starts Python, Ray and "
            "this program, seconds of a processor, which take minutes where it is busy with "
            "other work"
        )
        timer = threading.Timer(PATIENCE_S, tell, (said,))
        timer.daemon = True
        timer.start()
        try:
            yield timer.cancel
        finally:
            timer.cancel()

    def _parts(self) -> Iterator[Part]:
        first, last = self.work.first // self.work.chunk, _chunks(self.work)
        count = last - first
        size = min(MOST_CHUNKS, max(1, count // (PARTS_A_CORE * self.cluster.cores)))
        size = max(size, -(-count // MOST_PARTS))
        for number, begin in enumerate(range(first, last, size)):
            yield Part(number, begin, min(size, last - begin), self.work.chunk)

    def _left(self, part: Part, known: set[int]) -> int:
        """How many results of a part are asked for and are not there yet."""
        starts = [chunk * part.size for chunk in part.chunks if chunk not in known]
        ends = [min(start + part.size, len(self.work.items)) for start in starts]
        return sum(
            end - max(start, self.work.first) for start, end in zip(starts, ends, strict=True)
        )

    def _reports(self, parts: Sequence[Part]) -> Iterator[Report]:
        """What workers say of the parts, in any order; each takes the next one when it is free."""
        if not parts:
            return
        self.kept.write_task((self.work.task, self.work.probe))
        for part in parts:
            first = part.first * part.size
            items = self.work.items[first : first + part.count * part.size]
            self.kept.write_items(part.number, items)
        ray, most = self.cluster.ray, len(parts)
        pool = ray.data.ActorPoolStrategy(
            min_size=1,
            initial_size=min(most, self.cluster.cores),
            max_size=most,
            max_tasks_in_flight_per_actor=2,
        )
        given = [{"part": pickle.dumps(part)} for part in parts]
        rows = ray.data.from_items(given, override_num_blocks=most)
        settings = (self.kept, self.folder)
        done = rows.map_batches(
            Worker, fn_constructor_args=settings, batch_size=1, num_cpus=1, compute=pool
        )
        try:
            for row in done.iter_rows():
                yield pickle.loads(row["report"])
        except ray.exceptions.RayError as error:
            raise ClusterError(
                f"{self.work.description}: {_why(error)}; what is done is kept, and the same "
                "command goes on from there"
            ) from error

    def _summarise(self, seconds: float, reports: Sequence[tuple[str, int, float]]) -> None:
        count, workers = sum(done for _, done, _ in reports), {worker for worker, *_ in reports}
        busy = sum(of_part for *_, of_part in reports)
        tell(
            f"{self.work.description}: {count:,} in {seconds:,.1f} s by {len(workers)} workers, "
            f"{count / max(seconds, 1e-3):,.1f} a second, {count / max(busy, 1e-3):,.1f} a second "
            "and core"
        )


def _chunks(work: Work[Any, Any]) -> int:
    return -(-len(work.items) // work.chunk)


def _advance(advance: Advance, count: int) -> None:
    for _ in range(count):
        advance()


def _why(error: Exception) -> str:
    """The first error of a traceback: those that follow only say that a worker failed."""
    said = _ERROR.search(str(error))
    text = said[0] if said else one_line(error)
    return text if len(text) <= MOST_ERROR else f"{text[:MOST_ERROR]}..."


def _results(kept: Kept, work: Work[Any, Result]) -> Iterator[Result]:
    for chunk in range(work.first // work.chunk, _chunks(work)):
        try:
            results = kept.results(chunk)
        except OSError as error:
            raise ClusterError(
                f"{kept.address} is not what the nodes write to ({one_line(error)}): give a BUILD= "
                "on a path that every node has, or the address of a bucket as RAY_STORE="
            ) from error
        yield from results[max(work.first - chunk * work.chunk, 0) :]


def _name(description: str) -> str:
    """A description as the name of a folder."""
    return "-".join("".join(c if c.isalnum() else " " for c in description).split())
