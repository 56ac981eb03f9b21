"""The page of the field, `field.html`, from its record."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw

from convert.field.record import (
    NOTHING_SEEN,
    FieldRecord,
    FieldVerdict,
    JudgedPhoto,
    days_of,
)
from convert.field.words import percent
from convert.report.pictures import picture
from device.contract.arrays import Box
from device.contract.photos import decode, decode_frame, pixels, read_photo
from device.contract.preprocess import Preprocessing
from device.contract.provenance import OTHER
from device.errors import PhotoError
from device.workstation.templates import STYLES, environment
from device.workstation.wording import counted, photos_in_events

TEMPLATE = "field.html.j2"
PICTURE_PX = 256
"""Longest side of a picture on the page."""
LINE_PX = 2
MOST_PICTURES, MOST_OTHER_PICTURES = 36, 18
"""Of known classes, and of no class."""
CONFUSIONS_SHOWN = 12
NAMES_SHOWN = 24
"""Of the photos that are left out for one reason; the record has all."""
HEADINGS = {
    FieldVerdict.AS_PROMISED: "As good as promised",
    FieldVerdict.LOWER: "Lower than promised",
    FieldVerdict.NOT_ENOUGH: "Not enough events to tell",
}


@dataclass(frozen=True)
class Wrong:
    """A photo with a wrong answer, as the page shows it."""

    photo: JudgedPhoto
    src: str
    """A data URI; empty if it cannot be shown."""


def render(record: FieldRecord, files: Mapping[str, Path]) -> str:
    """The page as HTML; the same record and photos give the same bytes.

    Args:
        record: as `field.json` holds it.
        files: where the photos are, by their path in the record.
    """
    templates = environment(Path(__file__).parent, STYLES)
    templates.filters.update(percent=percent, at=_at)
    wrong = [photo for photo in record.photos if not photo.right]
    known = shown_first([photo for photo in wrong if photo.known], MOST_PICTURES)
    others = shown_first([photo for photo in wrong if not photo.known], MOST_OTHER_PICTURES)
    return templates.get_template(TEMPLATE).render(
        r=record,
        heading=HEADINGS[record.verdict],
        promised=record.promised.interval,
        other=OTHER,
        nothing_seen=NOTHING_SEEN,
        days=days_of(record.photos),
        devices=sorted({photo.device for photo in record.photos}),
        counted=counted,
        photos_in_events=photos_in_events,
        wrong_count=len(wrong),
        wrong=[Wrong(photo, _src(files[photo.path], photo.box)) for photo in known],
        named=[Wrong(photo, _src(files[photo.path], photo.box)) for photo in others],
        confusions_shown=CONFUSIONS_SHOWN,
        names_shown=NAMES_SHOWN,
    )


def _at(share: float) -> str:
    """A place on a scale from 0 to 1, for a style."""
    return f"{100 * share:.2f}%"


def shown_first(wrong: Sequence[JudgedPhoto], most: int) -> list[JudgedPhoto]:
    """The photos to show: one of each event before the second of any, the surest answers first."""
    ranked, turn = [], dict[str, int]()
    for photo in sorted(wrong, key=lambda photo: (-photo.score, photo.path)):
        turn[photo.event] = turn.get(photo.event, 0) + 1
        ranked.append((turn[photo.event], photo))
    return [photo for _, photo in sorted(ranked, key=lambda pair: pair[0])][:most]


def _src(path: Path, box: Box | None) -> str:
    """A picture of a photo, with a line around what the model was shown of it."""
    rules = Preprocessing(height_px=PICTURE_PX, width_px=PICTURE_PX, jpeg_decode_scale=1)
    try:
        if box is None:
            return picture(pixels(decode(read_photo(path), rules)), PICTURE_PX)
        image = Image.fromarray(decode_frame(read_photo(path)))
    except PhotoError:
        return ""
    line_px = max(image.size) * LINE_PX // PICTURE_PX + 1
    ImageDraw.Draw(image).rectangle(box, outline="white", width=line_px)
    return picture(pixels(image), PICTURE_PX)
