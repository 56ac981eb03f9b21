"""The engine that needs nothing: a thread for each core of this machine."""

import os
import threading
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

from device.workstation.engine.work import Advance, Item, Result, Task, Work

AHEAD = 32
"""Results that wait for the caller at most, beside those that threads are at work on."""


@dataclass(frozen=True)
class Local:
    """Threads of this process. The work is done in Pillow and runtimes, which let others run."""

    threads: int = os.cpu_count() or 1

    def run(self, work: Work[Item, Result], advance: Advance) -> Generator[Result, None, None]:
        """As `Engine.run`: while the caller takes results, the next ones are computed."""
        of_item = _once_a_thread(work.task)
        pool = ThreadPoolExecutor(self.threads)
        waiting: deque[Future[Result]] = deque()
        try:
            for item in islice(work.items, work.first, None):
                waiting.append(pool.submit(of_item, item))
                if len(waiting) == AHEAD + self.threads:
                    yield _next(waiting, advance)
            while waiting:
                yield _next(waiting, advance)
        finally:
            pool.shutdown(cancel_futures=True)


def _next(waiting: "deque[Future[Result]]", advance: Advance) -> Result:
    result = waiting.popleft().result()
    advance()
    return result


def _once_a_thread(task: Task[Item, Result]) -> Callable[[Item], Result]:
    own = threading.local()

    def of_item(item: Item) -> Result:
        if not hasattr(own, "function"):
            own.function = task.setup()
        result: Result = own.function(item)
        return result

    return of_item
