"""Where photos are cut: around what stands before the background of their place."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from device.contract.arrays import Box
from device.contract.look.rules import LookRules
from device.workstation.photo_files import PhotoFiles
from train.data.sight.sighting import Sighting, look_at
from train.data.split import Row


@dataclass(frozen=True)
class Cutting:
    """What was found in photos."""

    boxes: Mapping[str, Box] = field(default_factory=dict)
    """By path, around the largest subject, in pixels of `decode_frame`'s picture."""
    doubts: Mapping[str, str] = field(default_factory=dict)
    """By path, why a box may be a bad one; of those in doubt only."""
    whole: Mapping[str, str] = field(default_factory=dict)
    """By path, why a photo is not cut."""

    def with_boxes(self, boxes: Mapping[str, Box]) -> "Cutting":
        """The same, with boxes that are known better; by path."""
        if not boxes:
            return self
        return Cutting(
            dict(sorted({**self.boxes, **boxes}.items())),
            {path: why for path, why in self.doubts.items() if path not in boxes},
            {path: why for path, why in self.whole.items() if path not in boxes},
        )


def find_cuts(files: PhotoFiles, rows: Iterable[Row], rules: LookRules) -> Cutting:
    """Find where photos are cut.

    Args:
        files: finds the photos.
        rows: of the split, in any order; photos that are left out stay out.
        rules: of looking.

    Raises:
        DataError: if a photo is missing or has changed since it was scanned.
    """
    boxes: dict[str, Box] = {}
    notes: dict[str, str] = {}
    for found in look_at(files, rows, rules):
        # Masks of many photos need memory, and boxes are enough here.
        boxes |= {path: each.box for path, each in found.items() if isinstance(each, Sighting)}
        notes |= {p: each if isinstance(each, str) else each.doubt for p, each in found.items()}
    noted = {path: note for path, note in sorted(notes.items()) if note}
    return Cutting(
        dict(sorted(boxes.items())),
        {path: note for path, note in noted.items() if path in boxes},
        {path: note for path, note in noted.items() if path not in boxes},
    )
