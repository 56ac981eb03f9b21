"""Where photos were cut, as the report shows it: counts, and examples with their boxes drawn in."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from device.contract.arrays import Box, Pixels
from device.errors import PhotoError
from device.workstation.training import DataSet, Part
from train.data.split import Row
from train.page import pictures
from train.page.pictures import Picture

SHOWN = 8
"""Examples of good boxes, and as many of those in doubt."""
PICTURE_PX = 320


@dataclass(frozen=True)
class Boxed:
    """A photo with its box."""

    path: str
    label: str
    doubt: str
    picture: Picture


@dataclass(frozen=True)
class Boxes:
    """What the report says of photos that are cut."""

    counts: tuple[tuple[str, tuple[int, ...]], ...] = ()
    """Cut photos by class and part; empty if none is cut."""
    good: tuple[Boxed, ...] = ()
    doubtful: tuple[Boxed, ...] = ()
    doubts: int = 0
    """How many boxes are in doubt."""

    @classmethod
    def of(
        cls,
        data: DataSet,
        rows: Sequence[Row],
        cuts: Mapping[str, Box],
        doubts: Mapping[str, str],
        frame: Callable[[Row], Pixels],
    ) -> "Boxes":
        """Choose the examples, the same ones for the same photos.

        Args:
            data: that a network was made from.
            rows: the split.
            cuts: by path, where photos are cut.
            doubts: by path, why a box may be a bad one.
            frame: the whole photo of a row, uint8 (h, w, 3), as its box counts pixels; a
                `PhotoError` from it leaves the photo out.
        """
        if not cuts:
            return cls()
        counts = [(label, tuple(parts[part] for part in Part)) for label, parts in data.cut.items()]
        # One photo of an event shows enough of it.
        of_event = {row.group: row for row in sorted(rows, key=lambda row: row.sha256)}
        some = [row for row in of_event.values() if row.path in cuts and row.path not in doubts]
        odd = sorted((row for row in rows if row.path in doubts), key=lambda row: row.sha256)
        good, doubtful = (
            tuple(islice(_boxed(chosen, cuts, doubts, frame), SHOWN)) for chosen in (some, odd)
        )
        return cls(tuple(counts), good, doubtful, len(odd))


def _boxed(
    rows: Iterable[Row],
    cuts: Mapping[str, Box],
    doubts: Mapping[str, str],
    frame: Callable[[Row], Pixels],
) -> Iterator[Boxed]:
    for row in rows:
        try:
            picture = pictures.photo(frame(row), PICTURE_PX, cuts[row.path])
        except PhotoError:
            continue
        yield Boxed(row.path, row.label, doubts.get(row.path, ""), picture)
