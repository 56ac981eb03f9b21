"""Bars that show how fast photos are worked on, and when they will be done."""

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Task as Shown
from rich.text import Text

WIDTH = 24
"""Characters of a bar's title, so that all bars are aligned."""


class _Speed(ProgressColumn):
    """Steps a second."""

    def render(self, task: Shown) -> Text:
        """Empty before anything is known."""
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.{0 if speed >= 10 else 1}f}/s")


def bars(*, shown: bool = True) -> Progress:
    """Progress bars on stderr, or none if not `shown`; use it as a context."""
    columns = (
        TextColumn("[progress.description]{task.description}"),
        *(BarColumn(), TaskProgressColumn(), _Speed(), TimeRemainingColumn()),
    )
    return Progress(*columns, console=Console(stderr=True), disable=not shown)


def titled(description: str) -> str:
    """A bar's title, as wide as all."""
    return f"{description:{WIDTH}}"


def tell(line: str) -> None:
    """A line for people, on stderr as the bars."""
    Console(stderr=True).print(line, highlight=False, markup=False, soft_wrap=True)
