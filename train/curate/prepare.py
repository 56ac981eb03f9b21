"""From a folder of photos to the split: scan, split, clean, and list photos to review."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from device.contract.preprocess import Preprocessing
from device.files import is_text, write_text
from device.workstation import cuts
from device.workstation.events import listed
from device.workstation.events.listed import Occasion
from device.workstation.training import CUTS, DATA, EVENTS, SPLIT, DataRecord
from train.curate import review
from train.data import dataset
from train.data.events.occasions import EventSettings
from train.data.record import describe, table
from train.data.split import Row, assign, to_csv


@dataclass(frozen=True)
class SplitInputs:
    """What a split is made from and where it goes."""

    photos: Path
    """Folder of class folders."""
    out: Path
    seed: int = 0
    """Another seed, another split."""
    audit: Path | None = None
    """`audit.json` whose safe removals are left out."""
    events: EventSettings = field(default_factory=EventSettings)
    """How events and places are found."""


@dataclass(frozen=True)
class Prepared:
    """What was written."""

    record: DataRecord
    rows: Sequence[Row]
    news: str
    """Text on the photos that wait for review; empty if there are none."""

    def text(self) -> str:
        """For people: the photos by class and part, and what was left out."""
        data = self.record.data
        return "\n".join([data.description, table(data, self.rows), *data.event_notes]) + self.news


def split_photos(inputs: SplitInputs) -> Prepared:
    """Write `split.csv`, `data.json` and, if there are photos from devices, the page for review.

    Raises:
        DataError: if the folder has no classes to tell apart, or the audit is of other photos.
        RecordError: if the audit cannot be read.
    """
    found = dataset.scan(inputs.photos, Preprocessing())
    collected = {photo.path for photo in found if photo.collected}
    notes: list[str] = []
    rows = assign(found, inputs.seed, inputs.events, notes.append)
    record = describe(inputs.photos, rows, collected, notes)
    if inputs.audit is not None:
        rows = _cleaned(rows, inputs.audit, record.data.fingerprint, inputs.seed)
        record = describe(inputs.photos, rows, collected, notes)
    inputs.out.mkdir(parents=True, exist_ok=True)
    waiting = [row for row in rows if row.path in collected]
    news = review.write_page(inputs.out, inputs.photos, waiting)
    occasions = listed.to_csv({row.path: Occasion(row.group, row.place) for row in rows})
    texts = {DATA: record.text(), EVENTS: occasions, CUTS: cuts.to_csv({}), SPLIT: to_csv(rows)}
    _write_changes(inputs.out, texts)
    return Prepared(record, rows, news)


def _cleaned(rows: list[Row], audit: Path, fingerprint: str, seed: int) -> list[Row]:
    # These imports take a second, and few builds are cleaned.
    from train.curate.audit_record import AuditRecord
    from train.curate.clean import clean

    return clean(rows, AuditRecord.read(audit), fingerprint, seed)


def _write_changes(folder: Path, texts: Mapping[str, str]) -> None:
    """Write all the files if the content of one has changed.

    Unchanged files keep their dates, so photos that wait for review do not cause a new training
    run.
    """
    if any(not is_text(folder / name, text) for name, text in texts.items()):
        for name, text in texts.items():
            write_text(folder / name, text)
