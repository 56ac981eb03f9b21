"""Progress bars for the steps of conversion."""

from collections.abc import Callable
from functools import partial

from rich.console import Console
from rich.progress import Progress

WIDTH = 24
"""Characters of a bar's title, so that all bars are aligned."""


def bars(shown: bool) -> Progress:
    """Progress bars on stderr, or none if not `shown`; use it as a context."""
    return Progress(console=Console(stderr=True), disable=not shown)


def bar(progress: Progress, title: str, total: int) -> Callable[[], None]:
    """Add a bar; returns the function that advances it by one of `total` steps."""
    return partial(progress.advance, progress.add_task(f"{title:{WIDTH}}", total=total))
