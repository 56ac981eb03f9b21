"""What stands before the background of its place in photos of cameras that stand still.

The background comes from other photos of the place, by the code that looks at a device's frames.
The same photos give the same subjects, in whatever order they are.
"""

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from rich.console import Console
from rich.progress import Progress

from device.contract.arrays import Box
from device.contract.look import box, change, place
from device.contract.look.box import Subject
from device.contract.look.cells import Cells, Grid
from device.contract.look.change import Background
from device.contract.look.light import ONE
from device.contract.look.place import Look
from device.contract.look.rules import LookRules, Seen
from device.contract.photos import decode_frame
from device.errors import PhotoError
from device.workstation.engine.choice import done, spreads
from device.workstation.engine.work import Work
from device.workstation.photo_files import PhotoFiles
from device.workstation.training import LEFT_OUT
from train.data.listed import listed
from train.data.split import Row

MIN_FRAMES = 8
MIN_EVENTS = 4
"""A place with fewer events, or fewer photos of other events than the one looked at, is too little
known."""
MAX_FRAMES = 48
"""A background is the median of at most this many photos, as evenly from all events as possible."""
MOST_UPSET = 0.5
"""If the whole picture has changed in more than this share of a place's photos with any change, its
camera was moved."""

NO_PLACE = "of no known place"
FEW = f"of places with fewer than {MIN_EVENTS} events, or {MIN_FRAMES} photos of other events"
SIZE = "of another size than most of their place"
TOO_LARGE = "too large for a camera's frame"
MOVED = "of places whose camera seems to have moved"
UPSET = "in which the whole picture has changed"
NOTHING = "in which nothing stands out"

EDGE = "touches the edge of the picture"
LARGE = "nearly as large as the picture"
SMALL = "very small"
FAINT = "hardly differs from the background"
RIVAL = "hardly larger than another change"
NEARLY = 0.9
"""A box of at least this share of the picture's shorter side is nearly as large."""
LEAST_CLEAR = 0.25
"""Fewer clear cells than this share of a subject's are faint."""
MOST_RIVAL = 0.5
"""Another subject of at least this share of the cells may be the one that is meant."""


@dataclass(frozen=True)
class Sighting:
    """The largest subject of a photo."""

    subject: Subject
    """In cells of the grid."""
    grid: Grid
    """Of `decode_frame`'s picture."""
    box: Box
    """The square around it that a device sees, in pixels."""
    light: float
    """How many times brighter the photo is than the background of its place."""
    doubt: str
    """Why the box may be a bad one; empty if nothing speaks against it."""


Found = Mapping[str, Sighting | str]
"""By path, what was seen, or why nothing was."""


def look_at(files: PhotoFiles, rows: Iterable[Row], rules: LookRules) -> Iterator[Found]:
    """Look for subjects in photos, a place at a time; photos of no place are not even read.

    Args:
        files: finds the photos.
        rows: with their places, in any order; photos that are left out of the split stay out.
        rules: of looking.

    Raises:
        DataError: if a photo is missing or has changed since it was scanned.
    """
    places: dict[str, list[Row]] = defaultdict(list)
    nowhere: dict[str, str] = {}
    for row in rows:
        if row.part != LEFT_OUT and row.place:
            places[row.place].append(row)
        elif row.part != LEFT_OUT:
            nowhere[row.path] = NO_PLACE
    yield nowhere
    known = [each for each in places.values() if _is_known(each)]
    yield {row.path: FEW for each in places.values() if not _is_known(each) for row in each}
    yield from _looked_at([_Place(files, rules, each) for each in known])


def _is_known(rows: Sequence[Row]) -> bool:
    return len(rows) >= MIN_FRAMES and len({row.group for row in rows}) >= MIN_EVENTS


def spread(rows: Iterable[Row]) -> list[Row]:
    """Photos in an order in which each event comes once before any comes a second time."""
    seen: Counter[str] = Counter()
    numbered = []
    for row in sorted(rows, key=lambda row: (row.sha256, row.path)):
        numbered.append((seen[row.group], row))
        seen[row.group] += 1
    return [row for _, row in sorted(numbered, key=lambda pair: pair[0])]


def lessons(rows: Sequence[Row]) -> dict[str, tuple[Row, ...]]:
    """The photos that teach the background for each event: those of other events."""
    usual = spread(rows)[:MAX_FRAMES]
    inside = {row.group for row in usual}
    chosen = dict.fromkeys((row.group for row in rows), tuple(usual))
    for event in inside:
        chosen[event] = tuple(spread(row for row in rows if row.group != event)[:MAX_FRAMES])
    return chosen


@dataclass(frozen=True)
class _Picture:
    """What a look needs of a photo."""

    grid: Grid
    cells: Cells


@dataclass(frozen=True)
class _Known:
    """What is known of a place."""

    grid: Grid | None
    """Of most photos; None if none can be read as a camera's frame."""
    backgrounds: Mapping[str, Background | None]
    """By event, made of the other events; None if too few of their photos are of one size."""
    pictures: Mapping[str, _Picture | None]
    """By path, of the photos that taught; each is read once."""


@dataclass(frozen=True)
class _Place:
    """The photos of one place."""

    files: PhotoFiles
    rules: LookRules
    rows: Sequence[Row]

    def found(self, pool: ThreadPoolExecutor, advance: Callable[[], None]) -> Found:
        """What is in each photo. The pictures of all of them are never in memory at a time."""
        known, found = self._learned(pool), dict[str, Sighting | str]()
        # A task for each photo: Ctrl-C waits for the photo that is read, not for its place.
        looked = pool.map(partial(self._look, known), self.rows)
        for row, each in zip(self.rows, looked, strict=True):
            found[row.path] = each
            advance()
        upset = sum(each == UPSET for each in found.values())
        cut = sum(not isinstance(each, str) for each in found.values())
        return dict.fromkeys(found, MOVED) if upset > MOST_UPSET * (upset + cut) else found

    def _learned(self, pool: ThreadPoolExecutor) -> _Known:
        chosen = lessons(self.rows)
        taught = list({row.path: row for each in chosen.values() for row in each}.values())
        read = pool.map(self._read, taught)
        pictures = {row.path: picture for row, picture in zip(taught, read, strict=True)}
        grids = Counter(picture.grid for picture in pictures.values() if picture)
        grid = max(grids, key=lambda g: (grids[g], g.width_px, g.height_px), default=None)
        sets = list(set(chosen.values()))
        made = dict(zip(sets, pool.map(partial(_background, pictures, grid), sets), strict=True))
        return _Known(grid, {event: made[each] for event, each in chosen.items()}, pictures)

    def _read(self, row: Row) -> _Picture | None:
        with listed(self.files, row.path, row.sha256) as data:
            try:
                frame = decode_frame(data)
            except PhotoError:
                return None
        grid = Grid.of(frame.shape[1], frame.shape[0], self.rules)
        return _Picture(grid, grid.cells(frame))

    def _look(self, known: _Known, row: Row) -> Sighting | str:
        picture = known.pictures[row.path] if row.path in known.pictures else self._read(row)
        background = known.backgrounds[row.group]
        if picture is None:
            return TOO_LARGE
        if picture.grid != known.grid:
            return SIZE
        if background is None:
            return FEW
        seen = place.look(picture.cells, background, self.rules)
        if seen.seen == Seen.SOMETHING:
            return sighting_of(seen, picture.grid, background, self.rules)
        return NOTHING if seen.seen == Seen.NOTHING else UPSET


def sighting_of(seen: Look, grid: Grid, background: Background, rules: LookRules) -> Sighting:
    """What a look at a photo found, as the largest subject; it must have found one."""
    subject = seen.subjects[0]
    shown, light = box.square(subject, grid, rules), float(np.median(seen.of_light)) / ONE
    doubt = _doubt(seen, shown, grid, background, rules)
    return Sighting(subject, grid, shown, light, doubt)


def _doubt(seen: Look, shown: Box, grid: Grid, background: Background, rules: LookRules) -> str:
    """Why a box may be a bad one; empty if nothing speaks against it."""
    subject, (rows, columns) = seen.subjects[0], grid.shape
    least = change.thresholds(background.spread, int(seen.of_light.max()), rules)
    clear = change.is_clear(seen.smoothed[subject.mask], least[subject.mask], rules)
    shorter, side = min(grid.width_px, grid.height_px), shown[2] - shown[0]
    longer = max(subject.right - subject.left, subject.lower - subject.upper)
    reasons = {
        LARGE: side >= NEARLY * shorter,
        EDGE: not (subject.left > 0 and subject.right < columns)
        or not (subject.upper > 0 and subject.lower < rows),
        SMALL: 100 * longer * grid.cell_width_px < shorter * rules.least_side_percent,
        FAINT: clear.mean() < LEAST_CLEAR,
        RIVAL: any(other.cells >= MOST_RIVAL * subject.cells for other in seen.subjects[1:]),
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def _background(
    pictures: Mapping[str, _Picture | None], grid: Grid | None, rows: Sequence[Row]
) -> Background | None:
    taught = [pictures[row.path] for row in rows]
    cells = [picture.cells for picture in taught if picture and picture.grid == grid]
    return place.of_pictures(cells, visited=True) if len(cells) >= MIN_FRAMES else None


@dataclass(frozen=True)
class Looking:
    """The task of looking at places."""

    def setup(self) -> Callable[[_Place], Found]:
        """As for every task; the function raises as `look_at`."""
        return self.of

    def of(self, place: _Place) -> Found:
        """What is in the photos of a place."""
        with ThreadPoolExecutor(1) as pool:
            return place.found(pool, lambda: None)


def _looked_at(places: Sequence[_Place]) -> Iterator[Found]:
    """What was found at each place, with a progress bar if there is any."""
    if not places:
        return
    console, total = Console(stderr=True), sum(len(each.rows) for each in places)
    if spreads():
        # A place on each worker: its photos teach each other's background.
        looking = Work.of(Looking(), places, "looking for subjects")
        yield from done(replace(looking, chunk=1))
        return
    with Progress(console=console) as progress, ThreadPoolExecutor(os.cpu_count()) as pool:
        task = progress.add_task(f"{'looking for subjects':24}", total=total)
        for each in places:
            yield each.found(pool, lambda: progress.advance(task))
