"""Photos of folders, cut as devices with their cameras would cut them.

Cameras are told apart by what photos say of them, by their size and by their backgrounds. All that
is kept of a photo meanwhile is a small picture of cells. What a device noted in a photo that it
saved goes before what is found here.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from device.contract import moments, provenance
from device.contract.arrays import Box
from device.contract.look import album, cameras
from device.contract.look.cells import Cells, Grid
from device.contract.look.rules import LookRules, Seen
from device.contract.moments import Moment
from device.contract.photos import decode_frame, read_photo
from device.errors import PhotoError

MOST_AT_ONCE = 2000
"""Photos looked at together, 42 KB each."""
EVENT_S = 60.0
"""Photos with at most this many seconds between them are one event ..."""
MOST_A_SECOND = 12
"""... unless more photos of a camera than these have one time: its clock stands still."""


@dataclass(frozen=True)
class Sight:
    """What a photo shows before the background of its camera, and where."""

    seen: Seen | None = None
    """None: its camera is not known to stand still, or there are too few photos of it. LEARNING,
    LIGHT and MOVED: the photo is classified whole."""
    box: Box | None = None
    """In pixels of what `decode_frame` gives; None: the photo is classified whole."""


WHOLE = Sight()


@dataclass(frozen=True)
class _Small:
    """All that is kept of a photo."""

    number: int
    """Its place in the list of photos."""
    cells: Cells
    grid: Grid
    moment: Moment
    known: Sight | None
    """What the device saw that saved it; None if none did that looked."""


def sights(
    paths: Sequence[Path], rules: LookRules, advance: Callable[[], None] = lambda: None
) -> Iterator[Sight]:
    """Look at photos of any number of cameras; one result for each, in order.

    Photos that cannot be read are `WHOLE`: reading them again says why.

    Args:
        paths: photo files.
        rules: of looking.
        advance: called after each photo that was read.
    """
    portions = -(-len(paths) // MOST_AT_ONCE)
    for number in range(portions):
        start, end = (len(paths) * n // portions for n in (number, number + 1))
        yield from _looked_at(paths[start:end], rules, advance)


def _looked_at(paths: Sequence[Path], rules: LookRules, advance: Callable[[], None]) -> list[Sight]:
    found = [WHOLE] * len(paths)
    alike: dict[tuple[str, Grid], list[_Small]] = defaultdict(list)
    for number, path in enumerate(paths):
        small = _read(number, path, rules)
        if small:
            alike[small.moment.camera, small.grid].append(small)
        advance()
    for (_, grid), photos in alike.items():
        for members in cameras.of_one_camera([photo.cells for photo in photos], rules):
            for number, sight in _of_camera([photos[i] for i in members], grid, rules):
                found[number] = sight
        for photo in photos:
            found[photo.number] = photo.known or found[photo.number]
    return found


def _of_camera(
    photos: Sequence[_Small], grid: Grid, rules: LookRules
) -> Iterator[tuple[int, Sight]]:
    order, events = in_events([photo.moment.seconds for photo in photos], rules.absorb_s)
    ordered = [photos[i] for i in order]
    outcomes = album.outcomes([photo.cells for photo in ordered], events, grid, rules)
    for photo, outcome in zip(ordered, outcomes, strict=True):
        if outcome:
            yield photo.number, Sight(outcome.seen, outcome.boxes[0] if outcome.boxes else None)


def in_events(seconds: Sequence[float | None], longest_s: float) -> tuple[list[int], list[int]]:
    """A camera's photos in the order of time, and the event of each in that order.

    A camera that takes photos all the time has events, too: what stays for long is background.

    Args:
        seconds: when each was taken; None for unknown, which is an event of its own.
        longest_s: how long an event may last.
    """
    counts = Counter(at for at in seconds if at is not None)
    known = max(counts.values(), default=0) <= MOST_A_SECOND
    times = [at if known else None for at in seconds]
    order = sorted(range(len(times)), key=lambda i: (times[i] is None, times[i] or 0.0, i))
    return order, _numbered([times[i] for i in order], longest_s)


def _numbered(times: Sequence[float | None], longest_s: float) -> list[int]:
    """The event of each photo, from the times in order."""
    events: list[int] = []
    before = begun = -math.inf
    for time_s in times:
        at = math.inf if time_s is None else time_s
        goes_on = at - before <= EVENT_S and at - begun <= longest_s
        events.append((events[-1] if events else -1) + (not goes_on))
        before, begun = at, begun if goes_on else at
    return events


def _read(number: int, path: Path, rules: LookRules) -> _Small | None:
    try:
        data = read_photo(path)
        frame = decode_frame(data)
    except PhotoError:
        return None
    grid = Grid.of(frame.shape[1], frame.shape[0], rules)
    return _Small(number, grid.cells(frame), grid, moments.read(data), known_of(data))


def known_of(data: bytes) -> Sight | None:
    """What a device saw that saved a photo; None if none did that looks before it classifies.

    A record says so only while the photo contains its box.
    """
    record = provenance.read(data)
    if record is None or record.seen is None:
        return None
    seen = Seen(record.seen)
    return Sight(seen, record.box if seen is Seen.SOMETHING else None)
