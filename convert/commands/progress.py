"""Progress bars for the steps of conversion."""

from collections.abc import Callable
from functools import partial

from rich.progress import Progress

from device.workstation.engine.progress import titled


def bar(progress: Progress, title: str, total: int) -> Callable[[], None]:
    """Add a bar; returns the function that advances it by one of `total` steps."""
    return partial(progress.advance, progress.add_task(titled(title), total=total))
