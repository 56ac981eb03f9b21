"""The review page, `new.html`: photos that devices saved, shown before they are trained on."""

import base64
import io
import shlex
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from device.contract import provenance
from device.contract.arrays import Box
from device.contract.folders import photos_below
from device.contract.photos import decode, decode_frame
from device.contract.preprocess import Preprocessing
from device.contract.provenance import OTHER, REVIEW, WORLD, Provenance
from device.errors import PhotoError
from device.files import write_text
from device.workstation.photo_files import PhotoFiles, Source
from device.workstation.shards.index import Shards
from device.workstation.training import LEFT_OUT, NEW_PHOTOS_PAGE
from train.data.split import Row
from train.page.templates import page_environment

TEMPLATE = "review.html.j2"
PICTURE_PX = 176
"""Longest side of a picture on the page."""
JPEG_QUALITY = 78
MAX_PICTURES = 600
"""The newest are shown, at most this many: about 5 MB of page."""
SCORES_SHOWN = 3


@dataclass(frozen=True)
class Item:
    """One photo on the page."""

    path: str
    """Relative to the data folder."""
    picture: str
    """A data URI, or empty if the photo cannot be shown."""
    record: Provenance | None
    """None if the photo carries none: a person put it there."""
    note: str
    """Why it needs attention: it is left out, or the model disagrees; empty otherwise."""

    @property
    def is_of_alarm(self) -> bool:
        """Whether it was saved because the world before the camera had changed."""
        return self.record is not None and self.record.reason == WORLD

    @property
    def scores(self) -> list[tuple[str, float]]:
        """The model's best classes for it."""
        top = self.record.top.items() if self.record else ()
        return sorted(top, key=lambda pair: -pair[1])[:SCORES_SHOWN]


@dataclass(frozen=True)
class Group:
    """The photos of one folder."""

    name: str
    items: list[Item]
    command: str = ""
    """Moves all of them into the class folder."""


def write_page(out: Path, files: PhotoFiles, labelled: Sequence[Row]) -> str:
    """Write `new.html` if devices saved anything into the data folder, else remove it.

    Args:
        out: where to write it.
        files: finds the photos.
        labelled: rows of devices' photos that are already in class folders.

    Returns:
        What to tell the user, on a line of its own; empty if there is nothing new.
    """
    waiting = _waiting(files.source)
    page = out / NEW_PHOTOS_PAGE
    if not waiting and not labelled:
        page.unlink(missing_ok=True)
        return ""
    write_text(page, render(files, labelled, waiting))
    used = sum(row.part != LEFT_OUT for row in labelled)
    return (
        f"\nsaved by devices: {used:,} train, {len(labelled) - used:,} left out, "
        f"{len(waiting):,} wait in {_folder(files.source) / REVIEW} for you to sort: see {page}"
    )


def render(files: PhotoFiles, labelled: Sequence[Row], waiting: Sequence[Path]) -> str:
    """The page: photos to sort by what the model took them for, then the sorted ones by class."""
    folder = _folder(files.source)
    names = [*(path.relative_to(folder).as_posix() for path in waiting)]
    names += [row.path for row in labelled]
    # Devices name photos by time.
    shown = set(sorted(names, key=lambda name: name.rpartition("/")[2])[-MAX_PICTURES:])
    to_sort: defaultdict[str, list[Item]] = defaultdict(list)
    for path in waiting:
        name = path.relative_to(folder).as_posix()
        if name in shown:
            to_sort[path.parent.name].append(_item(files, name, ""))
    sorted_: defaultdict[str, list[Item]] = defaultdict(list)
    for row in labelled:
        if row.path in shown:
            sorted_[row.label].append(_item(files, row.path, row.reason, row.label))
    items = [item for found in (to_sort, sorted_) for group in found.values() for item in group]
    template = page_environment(Path(__file__).parent).get_template(TEMPLATE)
    return template.render(
        folder=_where(files.source),
        review=REVIEW,
        other=OTHER,
        random=sum(item.record is not None and item.record.is_random for item in items),
        of_alarms=sum(item.is_of_alarm for group in to_sort.values() for item in group),
        waiting=len(waiting),
        used=sum(row.part != LEFT_OUT for row in labelled),
        left_out=sum(row.part == LEFT_OUT for row in labelled),
        hidden=len(names) - len(shown),
        to_sort=[_group(folder, name, to_sort[name]) for name in sorted(to_sort)],
        sorted=[Group(name, sorted_[name]) for name in sorted(sorted_)],
    )


def _folder(source: Source) -> Path:
    """What paths of photos are relative to."""
    return Path() if isinstance(source, Shards) else source


def _where(source: Source) -> str:
    return source.address if isinstance(source, Shards) else str(source.resolve())


def _waiting(source: Source) -> list[Path]:
    """Photos that nobody has sorted yet; none of shards, whose makers sorted them."""
    if isinstance(source, Shards) or not (source / REVIEW).is_dir():
        return []
    return list(photos_below(source / REVIEW))


def _group(folder: Path, name: str, items: list[Item]) -> Group:
    source, target = (shlex.quote(str(p)) for p in (folder / REVIEW / name, folder / name))
    items = sorted(items, key=lambda item: not item.is_of_alarm)
    return Group(name, items, f"mv {source}/*.jpg {target}/")


def _item(files: PhotoFiles, name: str, reason: str, label: str = "") -> Item:
    try:
        data = files.read(name)
    except PhotoError as error:
        return Item(name, "", None, str(error))
    record = provenance.read(data)
    try:
        picture = _picture(data, record.box if record else None)
    except PhotoError as error:
        return Item(name, "", record, reason or str(error))
    item = Item(name, picture, record, f"left out: {reason}" if reason else "")
    if label and not reason and item.scores and item.scores[0][0] != label:
        return Item(name, picture, record, f"the model says {item.scores[0][0]}")
    return item


def _picture(data: bytes, box: Box | None) -> str:
    """What the device's model saw of a photo; all of it if that is not known."""
    if box is None:
        rules = Preprocessing(height_px=PICTURE_PX, width_px=PICTURE_PX, jpeg_decode_scale=1)
        image = decode(data, rules)
    else:
        image = Image.fromarray(decode_frame(data)).crop(box)
    image.thumbnail((PICTURE_PX, PICTURE_PX))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=JPEG_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
