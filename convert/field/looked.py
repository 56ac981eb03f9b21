"""What of each photo the model of a device with this bundle would see."""

from collections.abc import Callable, Mapping, Sequence

from convert.field.photos import FieldPhoto
from device.contract.bundle import Bundle
from device.contract.look.rules import Region, Seen
from device.inference.photos.standing import WHOLE, Sight, sights
from device.workstation.wording import number


def look(
    found: Sequence[FieldPhoto],
    judging: Sequence[FieldPhoto],
    bundle: Bundle,
    advance: Callable[[], None] = lambda: None,
) -> dict[str, Sight]:
    """What is seen of each photo that judges, by path.

    What the device wrote into a photo counts. Photos of a device that did not look are looked at
    here, before what all photos of its camera have in common.

    Args:
        found: all photos of the folder.
        judging: those of them that judge; each has a record.
        bundle: that is judged.
        advance: called after each photo that is read for this.
    """
    unknown = any(photo.record and photo.record.seen is None for photo in judging)
    here: dict[str, Sight] = {}
    if bundle.region is Region.CHANGE and unknown:
        readable = [photo for photo in found if not photo.problem]
        seen = sights([photo.file for photo in readable], bundle.look, advance)
        here = {photo.path: sight for photo, sight in zip(readable, seen, strict=True)}
    return {
        photo.path: _sight(photo, here.get(photo.path, WHOLE), bundle.region) for photo in judging
    }


def _sight(photo: FieldPhoto, here: Sight, region: Region) -> Sight:
    record = photo.record
    assert record is not None
    if region is Region.WHOLE:
        # The box of a camera that is not looked at is the part that its settings choose.
        return Sight(None, record.box if record.seen is None else None)
    if record.seen is not None:
        seen = Seen(record.seen)
        return Sight(seen, None if seen is Seen.NOTHING else record.box)
    return here if here.seen in (Seen.SOMETHING, Seen.NOTHING) else Sight(None, record.box)


def note(seen: Mapping[str, Sight], region: Region) -> list[str]:
    """A line on how the photos that judge were shown to the model."""
    if region is Region.WHOLE:
        return []
    of = [sight.seen for sight in seen.values()]
    cut, empty = of.count(Seen.SOMETHING), of.count(Seen.NOTHING)
    return [
        f"{cut:,} of {number(len(of), 'photo')} cut to what differs from their place; {empty:,} "
        f'show nothing new, which counts as "unknown"; {len(of) - cut - empty:,} whole'
    ]


def altered(photos: Sequence[FieldPhoto]) -> list[str]:
    """A line on photos of which it is not known any more what the device saw of them."""
    count = sum(photo.record is not None and photo.record.altered for photo in photos)
    if not count:
        return []
    return [
        f"{number(count, 'photo')} turned, cut or resized since a device saved them: what it saw "
        "of them is not known"
    ]
