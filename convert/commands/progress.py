"""Progress bars, for steps that somebody watches."""

from collections.abc import Callable
from functools import partial

from rich.console import Console
from rich.progress import Progress

WIDTH = 24
"""Characters of a bar's title, so that bars begin below each other."""


def bars(shown: bool) -> Progress:
    """Progress bars on stderr, or none at all; to be used as a context."""
    return Progress(console=Console(stderr=True), disable=not shown)


def bar(progress: Progress, title: str, total: int) -> Callable[[], None]:
    """A new bar; gives the function that advances it by one of `total` steps."""
    return partial(progress.advance, progress.add_task(f"{title:{WIDTH}}", total=total))
