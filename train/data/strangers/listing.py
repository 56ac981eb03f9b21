"""From the photos of `_other` to the lines of `strangers.csv`, and what people are told of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from device.contract.arrays import Box
from device.contract.look.rules import LookRules, Region
from device.contract.provenance import OTHER
from device.workstation.photo_files import PhotoFiles
from device.workstation.training import LEFT_OUT, STRANGERS, Part
from device.workstation.unknown.listed import Stranger
from device.workstation.wording import number, photos_in_events
from train.data.record import left_out_notes
from train.data.sight.cutting import find_cuts
from train.data.sight.noted import with_noted
from train.data.split import Row
from train.data.strangers.placing import LEAST_EVENTS, Placed

FEW_EVENTS = 20
"""With fewer that judge, the interval of the share that is turned away may be 40 points wide."""


@dataclass(frozen=True)
class Listed:
    """The strangers as they are written, and lines on them for people."""

    strangers: tuple[Stranger, ...]
    notes: tuple[str, ...]


def listed(placed: Placed, files: PhotoFiles, region: Region, frames: Mapping[str, Box]) -> Listed:
    """Cut the strangers as the network sees photos, and say what becomes of them.

    Args:
        placed: which of them judge.
        files: finds the photos.
        region: what of pictures the network sees.
        frames: by path, where something is in frames of films.

    Raises:
        DataError: if a photo is missing or has changed since it was scanned.
    """
    boxes = _boxes(placed, files, frames) if region is Region.CHANGE else {}
    strangers = tuple(
        Stranger(row.path, row.part, row.sha256, row.group, boxes.get(row.path), row.reason)
        for row in placed.rows
    )
    return Listed(strangers, tuple(_notes(placed.rows)))


def _boxes(placed: Placed, files: PhotoFiles, frames: Mapping[str, Box]) -> Mapping[str, Box]:
    """By path, where strangers are cut; photos of classes show what their places look like."""
    used = [row for row in placed.rows if row.part != LEFT_OUT]
    if not used:
        return {}
    places = {row.place for row in used} - {""}
    beside = [row for row in placed.known if row.place in places]
    found = find_cuts(files, [*beside, *used], LookRules())
    known = {row.path: frames[row.path] for row in used if row.path in frames}
    return with_noted(found.with_boxes(known), files, used).boxes


def _notes(rows: Sequence[Row]) -> list[str]:
    if not rows:
        return []
    teach, judge, out = (
        [row for row in rows if row.part == part] for part in (Part.TRAIN, Part.TEST, LEFT_OUT)
    )
    if not teach and not judge:
        lines = [f"{OTHER}: {number(len(out), 'photo')} left out, so none teaches or judges"]
        return [*lines, *left_out_notes(rows, STRANGERS)]
    events = len({row.group for row in judge})
    verb = "judges" if len(judge) == 1 else "judge"
    said = f"{photos_in_events(len(judge), events)} {verb} what is called unknown"
    lines = [f"{OTHER}: {_teaching(teach)}{said}{f', {len(out):,} left out' if out else ''}"]
    if judge and events < FEW_EVENTS:
        lines.append(f"{OTHER}: their share has a wide interval; {FEW_EVENTS} events narrow it")
    return [*lines, *left_out_notes(rows, STRANGERS)]


def _teaching(rows: Sequence[Row]) -> str:
    if not rows:
        return f"with fewer than {LEAST_EVENTS} events none teaches; "
    return f"{photos_in_events(len(rows), len({row.group for row in rows}))} teach and "
