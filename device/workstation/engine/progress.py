"""Bars that show how fast photos are worked on, and when they will be done."""

from collections import deque
from dataclasses import dataclass, field
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TaskProgressColumn, TextColumn
from rich.progress import Task as Shown
from rich.text import Text

WIDTH = 24
"""Characters of a bar's title, so that all bars are aligned."""
RECENT_S = 60.0
"""Steps of so many seconds count for the speed: workers of a cluster report hundreds at once, from
which Rich, that looks at the last thousand steps, finds any speed."""


@dataclass
class _Recent:
    """What bars showed of late."""

    seen: dict[int, deque[tuple[float, float]]] = field(default_factory=dict)
    """By bar, times and the steps that were done by then."""

    def speed(self, task: Shown) -> float | None:
        """Steps a second, of a bar that is full over all its time; None before any is known."""
        began, now = task.start_time or 0.0, task.get_time()
        if task.finished_time:
            return task.completed / task.finished_time
        seen = self.seen.setdefault(task.id, deque([(began, 0.0)]))
        seen.append((now, task.completed))
        while seen[1][0] < now - RECENT_S:
            seen.popleft()
        first, before = seen[0]
        steps = task.completed - before
        return steps / (now - first) if steps > 0 and now > first else None


class _OfRecent(ProgressColumn):
    """A column that goes by what was shown of late."""

    max_refresh = 0.5

    def __init__(self, recent: _Recent) -> None:
        super().__init__()
        self._recent = recent


class _Speed(_OfRecent):
    """Steps a second."""

    def render(self, task: Shown) -> Text:
        """Empty before anything is known."""
        speed = self._recent.speed(task)
        return Text("" if speed is None else f"{speed:,.{0 if speed >= 10 else 1}f}/s")


class _Left(_OfRecent):
    """Time until all steps are done."""

    def render(self, task: Shown) -> Text:
        """Dashes before anything is known."""
        speed = self._recent.speed(task)
        left = 0 if task.finished else task.remaining
        if left is None or (left and not speed):
            return Text("-:--:--")
        return Text(str(timedelta(seconds=round(left / speed) if speed else 0)))


def bars(*, shown: bool = True) -> Progress:
    """Progress bars on stderr, or none if not `shown`; use it as a context."""
    recent = _Recent()
    columns = (
        TextColumn("[progress.description]{task.description}"),
        *(BarColumn(), TaskProgressColumn(), _Speed(recent), _Left(recent)),
    )
    return Progress(*columns, console=Console(stderr=True), disable=not shown)


def titled(description: str) -> str:
    """A bar's title, as wide as all."""
    return f"{description:{WIDTH}}"


def tell(line: str) -> None:
    """A line for people, on stderr as the bars."""
    Console(stderr=True).print(line, highlight=False, markup=False, soft_wrap=True)
