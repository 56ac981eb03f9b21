"""Tries networks, measures what they can do and what they cost, and writes the page that compares.

Each trial is an ordinary build below the folder of the sweep, with the photos' split of the build
beside it.
"""

import hashlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from convert.artifacts.exported import read_model
from convert.artifacts.training import read_photos
from convert.commands.progress import bar
from convert.errors import InputError
from convert.sweep import work
from convert.sweep.choice import choose, sentence
from convert.sweep.compare import Entry, check_same_photos
from convert.sweep.measure import measure, photos_to_judge
from convert.sweep.page import PAGE, Compared, render
from convert.sweep.table import table
from convert.sweep.trial import SWEEP, TRIAL, Figures, Sweep, Trial, read_counts, read_trials
from convert.sweep.work import Planned
from device.errors import FieldguideError
from device.files import write_text
from device.workstation.conversion import INT8_MODEL
from device.workstation.engine.progress import bars
from device.workstation.records import RecordError
from device.workstation.training import DATA, DataRecord, Part

Say = Callable[[str], None]


@dataclass(frozen=True)
class SweepInputs:
    """What a sweep tries, and where."""

    names: Sequence[str]
    """As `python -m train trials` gives them."""
    training: Path
    """The folder with the split that all trials share."""
    out: Path
    make: Sequence[str]
    """The command that each trial begins with."""
    jobs: int
    """How many trials are at work at once, at least 1."""


def try_networks(inputs: SweepInputs, made_on: str, say: Say) -> list[Trial]:
    """Run the trials that are not done, measure those that are not measured, write their records.

    Returns:
        All trials, in the order of their names.

    Raises:
        UsageError: if a name is no trial, another sweep is at work, or the folder has trials of
            other photos.
        RecordError: if the split is missing.
    """
    record = DataRecord.read(inputs.training / DATA)
    plan = work.planned(inputs.names, inputs.out)
    with work.alone(inputs.out):
        work.check_same_photos(plan, record.folder)
        errors = work.run(plan, inputs.make, inputs.jobs, say)
        fingerprint = record.data.fingerprint
        # Not while others train: what is measured is time, among others.
        trials = [_trial(one, errors[one.name], fingerprint) for one in plan]
        names = tuple(trial.name for trial in trials)
        Sweep(names, record.data.description, made_on).write(inputs.out / SWEEP)
    return trials


def _trial(one: Planned, error: str, fingerprint: str) -> Trial:
    figures = None
    if not error:
        figures = _known(one, fingerprint)
        if figures is None:
            figures, error = _measured(one)
    trial = Trial(one.backbone, one.size_px, fingerprint, error, figures)
    trial.write(one.folder / TRIAL)
    return trial


def _known(one: Planned, fingerprint: str) -> Figures | None:
    """The figures of an earlier sweep, if they are those of this model and these photos."""
    with suppress(RecordError, InputError):
        trial = Trial.read(one.folder / TRIAL)
        model = hashlib.sha256(read_model(one.folder / "convert" / INT8_MODEL)).hexdigest()
        same = trial.figures is not None and trial.figures.model_sha256 == model
        return trial.figures if same and trial.fingerprint == fingerprint else None
    return None


def _measured(one: Planned) -> tuple[Figures | None, str]:
    """The figures, or why there are none."""
    try:
        with bars() as progress:
            advance = bar(progress, f"measuring {one.name}", photos_to_judge(one.folder))
            return measure(one.folder, advance), ""
    except FieldguideError as error:
        return None, str(error)


def compare(out: Path) -> str:
    """Write the page about the last sweep of a folder; returns what a terminal shows of it.

    Raises:
        RecordError: if a record is missing, damaged or of another version.
        InputError: if trials are of different photos.
    """
    sweep, trials = read_trials(out)
    check_same_photos(trials)
    entries = [
        Entry(trial.name, trial.figures, read_counts(out / trial.name, trial.figures))
        for trial in trials
        if trial.figures is not None
    ]
    found = Compared(sweep, trials, entries, choose(entries, _events(out, entries)))
    write_text(out / PAGE, render(found, out))
    said = [sentence(found.choices), *filter(None, [found.doubt]), f"page: {out / PAGE}"]
    return "\n".join([table(found), "", *said])


def _events(out: Path, entries: Sequence[Entry]) -> list[str]:
    """The event of each validation photo; trials of the same photos have the same split."""
    if not entries:
        return []
    photos = read_photos(out / entries[0].name / "train")
    return [photo.event for photo in photos[Part.VAL]]
