"""From a folder of photos to the split: scan, split, clean, and list photos to review."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from filecmp import cmp
from pathlib import Path

from device.contract.arrays import Box
from device.contract.look.rules import LookRules, Region
from device.contract.preprocess import Preprocessing
from device.files import UNFINISHED
from device.workstation import cuts
from device.workstation.events import listed
from device.workstation.photo_files import PhotoFiles, Source
from device.workstation.training import (
    CUTS,
    DATA,
    EVENTS,
    LEFT_OUT,
    SPLIT,
    STRANGERS,
    DataRecord,
)
from device.workstation.unknown.listed import to_csv as to_strangers_csv
from train.columns import chosen, values_of, where
from train.curate import review
from train.data import dataset
from train.data.events.occasions import EventSettings
from train.data.films.kept import FILMS, KeptFilms
from train.data.films.rules import FilmRules
from train.data.looks import Looks
from train.data.photo import boxes_of
from train.data.record import describe, table
from train.data.sight.cutting import Cutting, find_cuts
from train.data.sight.noted import with_noted
from train.data.sight.region import AUTO, Sight, decide
from train.data.split import Row, assign, parts_of_csv
from train.data.strangers.listing import listed as listed_strangers
from train.data.strangers.placing import of_classes, parted, place


@dataclass(frozen=True)
class SplitInputs:
    """What a split is made from and where it goes."""

    photos: Source
    """A folder of class folders, or shards."""
    out: Path
    seed: int = 0
    """Another seed, another split."""
    audit: Path | None = None
    """`audit.json` whose safe removals are left out."""
    events: EventSettings = field(default_factory=EventSettings)
    """How events and places are found."""
    region: str = AUTO
    """What of pictures is seen: auto, change or whole."""
    films: FilmRules = field(default_factory=FilmRules)
    """How many frames of films are taken."""

    @property
    def kept(self) -> KeptFilms:
        """The frames of films, kept in `out`."""
        return KeptFilms(self.out / FILMS, self.films)

    @property
    def files(self) -> PhotoFiles:
        """Finds the photos, and the frames of films."""
        return PhotoFiles(self.photos, self.kept.folder)

    def sight(
        self, rows: Sequence[Row], frames: Mapping[str, Box], tell: Callable[[str], None]
    ) -> Sight:
        """What of the photos is seen; nothing is looked for where they stay whole anyway.

        Args:
            rows: of the split.
            frames: by path, where something is in frames of films.
            tell: gets a line for each thing that the user should know of how it was found.

        Raises:
            DataError: if a photo is missing or has changed since it was scanned.
        """
        if self.region == Region.WHOLE:
            return decide(self.region, Cutting(), rows)
        paths, parts = values_of(rows, "path"), values_of(rows, "part")
        used = (path for path, part in zip(paths, parts, strict=True) if part != LEFT_OUT)
        known = {path: frames[path] for path in used if path in frames}
        found = find_cuts(self.files, rows, LookRules()).with_boxes(known)
        return decide(self.region, with_noted(found, self.files, rows, tell), rows)


@dataclass(frozen=True)
class Prepared:
    """What was written."""

    record: DataRecord
    rows: Sequence[Row]
    of_strangers: Sequence[str]
    """Lines on the photos of `_other`."""
    news: str
    """Text on the photos that wait for review; empty if there are none."""

    def text(self) -> str:
        """For people: the photos by class and part, and what was left out."""
        data = self.record.data
        notes = (*data.event_notes, data.region_note, *self.of_strangers)
        return "\n".join([data.description, table(data, self.rows), *notes]) + self.news


def split_photos(inputs: SplitInputs) -> Prepared:
    """Write `split.csv`, `data.json`, `strangers.csv` and the lists of events and cuts.

    If there are photos from devices, write the page for review, too. What is in `_other` changes
    `strangers.csv` alone, so it causes no new training.

    Raises:
        DataError: if the folder has no classes to tell apart, or the audit is of other photos.
        OSError: if frames of films cannot be written.
        RecordError: if the audit cannot be read.
    """
    notes: list[str] = []
    looks = Looks(inputs.out)
    found = dataset.scan(inputs.photos, Preprocessing(), inputs.kept, notes.append, looks)
    known, strange = parted(found)
    saved = chosen(known, where(values_of(known, "collected")))
    collected = {photo.path for photo in saved}
    rows = assign(known, inputs.seed, of_classes(inputs.events), notes.append)
    if inputs.audit is not None:
        fingerprint = describe(inputs.photos, rows).data.fingerprint
        rows = _cleaned(rows, inputs.audit, fingerprint, inputs.seed)
    frames = boxes_of(found)
    sight = inputs.sight(rows, frames, notes.append)
    films = inputs.kept.folder if any(values_of(found, "film")) else None
    record = describe(inputs.photos, rows, collected, notes, sight=sight, films=films)
    placed = place(known, rows, strange, inputs.files, inputs.events, inputs.seed)
    strangers = listed_strangers(placed, inputs.files, sight.region, frames)
    inputs.out.mkdir(parents=True, exist_ok=True)
    waiting = chosen(rows, where(path in collected for path in values_of(rows, "path")))
    news = review.write_page(inputs.out, inputs.files, waiting)
    texts = {
        DATA: [record.text()],
        EVENTS: listed.parts_of_csv((row.path, row.group, row.place) for row in rows),
        CUTS: [cuts.to_csv(sight.boxes, sight.doubts)],
        SPLIT: parts_of_csv(rows),
    }
    _write_changes(inputs.out, texts)
    _write_changes(inputs.out, {STRANGERS: [to_strangers_csv(strangers.strangers)]})
    return Prepared(record, rows, strangers.notes, news)


def _cleaned(rows: Sequence[Row], audit: Path, fingerprint: str, seed: int) -> Sequence[Row]:
    # These imports take a second, and few builds are cleaned.
    from train.curate.audit_record import AuditRecord
    from train.curate.clean import clean

    return clean(rows, AuditRecord.read(audit), fingerprint, seed)


def _write_changes(folder: Path, texts: Mapping[str, Iterable[str]]) -> None:
    """Write all the files, whose texts come in parts, if the content of one has changed.

    Unchanged files keep their dates, so photos that wait for review do not cause a new training
    run.
    """
    fresh = {folder / name: folder / f"{UNFINISHED}{name}" for name in texts}
    try:
        for part, text in zip(fresh.values(), texts.values(), strict=True):
            with part.open("wb") as file:
                file.writelines(piece.encode("utf-8") for piece in text)
        if any(not _is_same(path, part) for path, part in fresh.items()):
            for path, part in fresh.items():
                part.replace(path)
    finally:
        for part in fresh.values():
            part.unlink(missing_ok=True)


def _is_same(path: Path, other: Path) -> bool:
    return path.is_file() and cmp(path, other, shallow=False)
