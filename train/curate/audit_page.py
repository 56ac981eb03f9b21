"""Runs the audit and writes it: `audit.json` for programs, `audit.html` for people."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from device.contract.arrays import Box, Pixels
from device.contract.photos import decode_frame
from device.contract.preprocess import Preprocessing
from device.errors import PhotoError
from device.files import write_text
from device.workstation.photo_files import PhotoFiles
from device.workstation.training import AUDIT, AUDIT_PAGE, LEFT_OUT, DataSet, Part
from device.workstation.wording import counted, shown
from train import columns
from train.columns import values_of, where
from train.curate import alike, apart, audit, removals, strips
from train.curate.audit_record import AuditRecord, Unusable
from train.curate.features import frozen_features
from train.curate.findings import (
    APART,
    CONTRADICTION,
    COPY,
    MISLABEL,
    OUTLIER,
    SAME_PICTURE,
    Finding,
    Judge,
    Removal,
)
from train.curate.prepare import SplitInputs
from train.curate.vectors import Vectors, chosen, replaced
from train.data.dataset import scan
from train.data.listed import loader, read_same
from train.data.looks import Looks
from train.data.photo import boxes_of, thumbnails
from train.data.record import describe
from train.data.split import Row, assign
from train.data.strangers.placing import of_classes, parted
from train.page.pictures import Picture, photo
from train.page.templates import PART_NAMES, page_environment

TEMPLATE = "audit.html.j2"
CACHE_FOLDER, CUT = "cache/audit", "cut"
PICTURE_PX, STRIP_PX = 180, 120
SHOWN = 60
"""Findings of one kind that get pictures; `audit.json` has all."""
PHOTOS_SHOWN = 12
EVENT_PHOTOS_SHOWN = 3
"""Of one finding; and if all of them are of one event."""

SECTIONS = (
    # (kind, title, what it means)
    (
        CONTRADICTION,
        "One picture in two classes",
        "At most one of the classes can be right. Photos of the same bytes are left out of the "
        "split anyway; CLEAN=1 leaves out the nearly identical ones, too.",
    ),
    (
        APART,
        "May be one event",
        "One photo of each event. They share more than their surroundings, but no rule joined "
        "them. If they show one occasion, correct events.csv and give it back as EVENTS=: in "
        "different parts of the split they flatter the figures.",
    ),
    (
        MISLABEL,
        "Likely in the wrong class",
        "A judge that never saw these events assigns them to another class. It is often wrong: "
        "check each one. Photos of the test part are listed, never removed.",
    ),
    (COPY, "Copies", "The same bytes more than once. CLEAN=1 keeps the first."),
    (
        SAME_PICTURE,
        "Nearly the same picture",
        "Recompressed, resized or slightly changed.",
    ),
    (
        OUTLIER,
        "Unlike all others",
        "The events least similar to any training photo. Some are of no class, many are only rare.",
    ),
)


@dataclass(frozen=True)
class Audit:
    """All findings, and the photos that they are about."""

    data: DataSet
    seed: int
    rows: Sequence[Row]
    findings: tuple[Finding, ...]
    removals: tuple[Removal, ...]
    judge: Judge | None
    """None if a class is too small."""
    boxes: Mapping[str, Box] = field(default_factory=dict)
    """By path, where photos are cut."""

    def record(self) -> AuditRecord:
        """As `audit.json` holds it."""
        unusable = (row for row in self.rows if row.part == LEFT_OUT)
        return AuditRecord(
            fingerprint=self.data.fingerprint,
            seed=self.seed,
            judge=self.judge,
            unusable=tuple(Unusable(row.path, row.reason) for row in unusable),
            findings=self.findings,
            removals=self.removals,
        )


def run(inputs: SplitInputs, weights: str) -> str:
    """Audit a folder of photos and write `audit.json` and `audit.html` into `inputs.out`.

    Returns:
        A summary, one line per kind of finding.

    Raises:
        DataError: if the photos cannot be read or split.
        WeightsError: if the weights cannot be read.
    """
    out = inputs.out
    found = examine(inputs, weights, out.parent / CACHE_FOLDER)
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / AUDIT_PAGE, render(found, _pictures(found, inputs.files)))
    found.record().write(out / AUDIT)
    return f"{summary(found)}\nreport: {shown(str(out / AUDIT_PAGE))}"


def _pictures(found: Audit, files: PhotoFiles) -> Callable[[str], Pixels]:
    """Loads a photo by its path: whole, as its box counts pixels, if it is cut."""
    digests = {row.path: row.sha256 for row in found.rows}
    seen = loader(files, digests, Preprocessing())

    def load(path: str) -> Pixels:
        if path in found.boxes:
            return decode_frame(read_same(files, path, digests[path]))
        return seen(path)

    return load


def examine(inputs: SplitInputs, weights: str, cache: Path) -> Audit:
    """Scan, split and examine the photos of a folder; `cache` keeps their features."""
    notes: list[str] = []
    looks = Looks(inputs.out)
    known, _ = parted(scan(inputs.photos, Preprocessing(), inputs.kept, notes.append, looks))
    photos = columns.in_order(known, "path")
    rows = assign(photos, inputs.seed, of_classes(inputs.events))
    sight = inputs.sight(rows, boxes_of(photos), notes.append)
    good = where(look is not None for look in values_of(photos, "look"))
    usable, of_usable = columns.chosen(photos, good), columns.chosen(rows, good)
    files = inputs.files
    features = frozen_features(usable, files, weights, cache)
    findings = alike.find_alike(of_usable, thumbnails(usable), features)
    used = where(part != LEFT_OUT for part in values_of(of_usable, "part"))
    kept, of_kept = columns.chosen(of_usable, used), chosen(features, used)
    labels = sorted(set(values_of(rows, "label")))
    findings += apart.events_apart(kept, of_kept, findings)
    # Copies and events are told by whole pictures, labels by what the network will learn from.
    learned = _of_cut(kept, of_kept, sight.boxes, files, weights, cache)
    suspects, quality = audit.mislabels(kept, labels, learned)
    findings += suspects + audit.outliers(kept, learned)
    removed = removals.removals(rows, findings)
    data = describe(inputs.photos, rows, event_notes=notes, sight=sight).data
    return Audit(data, inputs.seed, rows, tuple(findings), tuple(removed), quality, sight.boxes)


def _of_cut(
    rows: Sequence[Row],
    features: Vectors,
    boxes: Mapping[str, Box],
    files: PhotoFiles,
    weights: str,
    cache: Path,
) -> Vectors:
    """Features of photos (n, channels), where those that are cut have features of their boxes."""
    cut = [i for i, row in enumerate(rows) if row.path in boxes]
    if not cut:
        return features
    others = frozen_features([rows[i] for i in cut], files, weights, cache / CUT, boxes)
    return replaced(features, np.array(cut), others)


def summary(found: Audit) -> str:
    """The films, how many of each kind were found, and how many of them CLEAN=1 leaves out."""
    unusable = sum(row.part == LEFT_OUT for row in found.rows)
    lines = [
        *(found.data.description, *found.data.event_notes, found.data.region_note),
        f"{'left out by the split':28}{unusable:5}",
    ]
    for kind, title, _ in SECTIONS:
        count = sum(finding.kind == kind for finding in found.findings)
        gone = sum(removal.kind == kind for removal in found.removals)
        lines.append(f"{title:28}{count:5}, CLEAN=1 leaves out {gone} photos")
    if not found.judge:
        lines.append(
            f"labels not judged: a class has fewer than {audit.MIN_JUDGED} events to train on"
        )
    return "\n".join(lines)


def render(found: Audit, load: Callable[[str], Pixels]) -> str:
    """The page: needs no other file, no script and no network.

    Args:
        found: the audit.
        load: gives the pixels, uint8 (h, w, 3), of a photo by its path in the data folder, of one
            that is cut as its box counts them; a `PhotoError` from it leaves a placeholder.
    """
    view = _View(found, load)
    by_path = view.by_path
    return (
        page_environment(Path(__file__).parent)
        .get_template(TEMPLATE)
        .render(
            data=found.data,
            judge=found.judge,
            unusable=[row for row in found.rows if row.part == LEFT_OUT],
            removals=found.removals,
            test_share=sum(by_path[r.path].part == Part.TEST for r in found.removals),
            parts=tuple(Part),
            part_names=PART_NAMES,
            judged=counted(found.judge.n, found.judge.events) if found.judge else "",
            least=audit.MIN_JUDGED,
            cut=bool(found.boxes),
            strips=view.strips(),
            sections=[view.section(*section) for section in SECTIONS],
        )
    )


class _View:
    """What the template needs of an audit."""

    def __init__(self, found: Audit, load: Callable[[str], Pixels]) -> None:
        self._found, self._load = found, load
        self.by_path = {row.path: row for row in found.rows}
        self._gone = {removal.path for removal in found.removals}

    def section(self, kind: str, title: str, note: str) -> dict[str, Any]:
        """The findings of one kind, of which the first are shown."""
        findings = [finding for finding in self._found.findings if finding.kind == kind]
        return {
            "kind": kind,
            "title": title,
            "note": note,
            "count": len(findings),
            "items": [self._item(finding) for finding in findings[:SHOWN]],
        }

    def strips(self) -> dict[str, Any]:
        """The largest events."""
        found = strips.strips(self._used())
        return {
            "count": len(found),
            "items": [
                {
                    "strip": strip,
                    "lasts": "" if strip.lasts_s is None else strips.duration(strip.lasts_s),
                    "photos": [self._shown(path, STRIP_PX) for path in strip.shown],
                }
                for strip in found[: strips.STRIPS]
            ],
        }

    def _used(self) -> list[Row]:
        return [row for row in self._found.rows if row.part != LEFT_OUT]

    def _item(self, finding: Finding) -> dict[str, Any]:
        # The photos of one event are alike: few are enough.
        most = 1 if finding.kind in (MISLABEL, OUTLIER) else PHOTOS_SHOWN
        if finding.kind == SAME_PICTURE and self._is_one_event(finding):
            most = EVENT_PHOTOS_SHOWN
        return {
            "finding": finding,
            "hidden": max(0, len(finding.paths) - most),
            "parts": sorted({self.by_path[path].part for path in finding.paths}),
            "photos": [self._shown(path, PICTURE_PX) for path in finding.paths[:most]],
        }

    def _is_one_event(self, finding: Finding) -> bool:
        return len({self.by_path[path].group for path in finding.paths}) == 1

    def _shown(self, path: str, longest_px: int) -> dict[str, Any]:
        picture = self._picture(path, longest_px)
        return {"row": self.by_path[path], "gone": path in self._gone, "picture": picture}

    def _picture(self, path: str, longest_px: int) -> Picture | None:
        """None if the photo cannot be shown."""
        try:
            return photo(self._load(path), longest_px, self._found.boxes.get(path))
        except PhotoError:
            return None
