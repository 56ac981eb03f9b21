"""What of pictures a network is trained to see: whole ones, or what stands before a background."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from device.contract.arrays import Box
from device.contract.look.rules import Region
from device.workstation.training import Part
from device.workstation.wording import number
from train.columns import chosen, values_of, where
from train.data.sight.cutting import Cutting
from train.data.sight.sighting import NO_PLACE
from train.data.split import Row, part
from train.errors import DataError

AUTO = "auto"


@dataclass(frozen=True)
class Sight:
    """What the network sees of the photos."""

    region: Region = Region.WHOLE
    boxes: Mapping[str, Box] = field(default_factory=dict)
    """By path, where photos are cut; all others are seen whole."""
    doubts: Mapping[str, str] = field(default_factory=dict)
    """By path, why a box may be a bad one."""
    note: str = ""
    """One line for people: what is seen, why, and of how many photos."""

    def cut(self, rows: Sequence[Row]) -> dict[str, dict[str, int]]:
        """How many photos are cut, by class and part."""
        is_cut = where(path in self.boxes for path in values_of(rows, "path"))
        some, labels = chosen(rows, is_cut), sorted(set(values_of(rows, "label")))
        counts = Counter((row.label, row.part) for row in some)
        return {label: {part: counts[label, part] for part in Part} for label in labels}


UNKNOWN = Sight()
"""Before it is decided."""
WHOLE = Sight(note="pictures are seen whole, as REGION=whole asks")


def decide(asked: str, cutting: Cutting, rows: Sequence[Row]) -> Sight:
    """What to train on, by what was found in the photos.

    Args:
        asked: auto, change or whole, as `REGION=` says.
        cutting: of these photos.
        rows: of the split.

    Raises:
        DataError: if only cut photos are asked for, and none of those that train can be cut.
    """
    if asked == Region.WHOLE:
        return WHOLE
    teaching = values_of(part(rows, Part.TRAIN), "path")
    cut = sum(path in cutting.boxes for path in teaching)
    if asked == Region.CHANGE and not cut:
        raise DataError(_nothing_cut(teaching, cutting))
    if asked == Region.CHANGE or 2 * cut > len(teaching):
        return Sight(Region.CHANGE, cutting.boxes, cutting.doubts, _cut(asked, cutting))
    if set(cutting.whole.values()) == {NO_PLACE}:
        return Sight(note="pictures are seen whole: no place of a fixed camera is known")
    return Sight(
        note=f"pictures are seen whole: something stands before a known background in only "
        f"{cut:,} of {number(len(teaching), 'training photo')} ({_reasons(cutting, teaching)})"
    )


def _cut(asked: str, cutting: Cutting) -> str:
    total = len(cutting.boxes) + len(cutting.whole)
    why = "as REGION=change asks" if asked == Region.CHANGE else "as most of them can be"
    seen = f"pictures are cut to what stands before their background, {why}"
    whole = f"; whole stay {_reasons(cutting, cutting.whole)}" if cutting.whole else ""
    doubt = f" ({len(cutting.doubts):,} in doubt, listed in cuts.csv)" if cutting.doubts else ""
    return f"{seen}: {len(cutting.boxes):,} of {number(total, 'photo')}{doubt}{whole}"


def _nothing_cut(teaching: Sequence[str], cutting: Cutting) -> str:
    """A device would look where something is, with a network that never saw such a picture."""
    photos = number(len(teaching), "training photo")
    why = f" ({_reasons(cutting, teaching)})" if cutting.whole else ""
    return (
        f"REGION=change: none of {photos} can be cut to what stands before its background{why}: "
        "add photos of cameras that stand still, name their places with PLACE=folder or EVENTS=, "
        "or give REGION=auto"
    )


def _reasons(cutting: Cutting, paths: Iterable[str]) -> str:
    """How many of some photos are not cut, by reason."""
    counts = Counter(cutting.whole[path] for path in paths if path in cutting.whole)
    return ", ".join(f"{count:,} {why}" for why, count in counts.most_common())
