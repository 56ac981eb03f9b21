"""Events as strips of pictures: the photos of each event in the order in which they were taken."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from train.data.blocks import by_name
from train.data.split import Row

STRIPS = 40
"""Events that get pictures."""
FRAMES = 6
"""Pictures of one event."""


@dataclass(frozen=True)
class Strip:
    """One event with more than one photo."""

    event: str
    places: tuple[str, ...]
    """Those that are known."""
    labels: tuple[str, ...]
    parts: tuple[str, ...]
    paths: tuple[str, ...]
    """All of its photos, in order."""
    lasts_s: float | None
    """From the first to the last photo by their clocks; None if one has no time."""

    @property
    def shown(self) -> tuple[str, ...]:
        """At most `FRAMES` of them, spread evenly from the first to the last."""
        last = len(self.paths) - 1
        steps = min(FRAMES, len(self.paths)) - 1
        return tuple(self.paths[round(i * last / max(1, steps))] for i in range(steps + 1))


def strips(rows: Iterable[Row]) -> list[Strip]:
    """All events with more than one photo, the largest first."""
    members: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        members[row.group].append(row)
    found = [_strip(event, photos) for event, photos in members.items() if photos[1:]]
    return sorted(found, key=lambda strip: (-len(strip.paths), strip.paths))


def _strip(event: str, rows: Sequence[Row]) -> Strip:
    times = [row.seconds for row in rows if row.seconds is not None]
    timed = len(times) == len(rows)

    def order(row: Row) -> tuple[float, list[tuple[int, str]]]:
        # A time that only some photos have puts nothing in order.
        return (row.seconds or 0.0) if timed else 0.0, by_name(row.path)

    return Strip(
        event=event,
        places=tuple(sorted({row.place for row in rows} - {""})),
        labels=tuple(sorted({row.label for row in rows})),
        parts=tuple(sorted({row.part for row in rows})),
        paths=tuple(row.path for row in sorted(rows, key=order)),
        lasts_s=max(times) - min(times) if timed else None,
    )


def duration(seconds: float) -> str:
    """A time for people: `14 s`, `3 min`, `2.5 h`."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
