"""The engine that does the work of this process."""

from collections.abc import Generator
from contextlib import closing

from device.workstation.engine.local import Local
from device.workstation.engine.progress import bars, titled
from device.workstation.engine.work import Advance, Engine, Item, Result, Work


def engine() -> Engine:
    """The engine of this process."""
    return Local()


def done(work: Work[Item, Result], advance: Advance | None = None) -> Generator[Result, None, None]:
    """Do work; gives the results in the order of the items.

    Close the generator if not all are taken.

    Args:
        work: what to do; its errors are raised here.
        advance: called as items are done; None: a bar is shown.
    """
    if advance is not None:
        yield from engine().run(work, advance)
        return
    with bars() as progress:
        bar = progress.add_task(titled(work.description), total=work.count)
        # Closed at once if the caller fails, so that no bar is printed below the error.
        with closing(engine().run(work, lambda: progress.advance(bar))) as results:
            yield from results
