"""Says how good a bundle is in the field, from sorted photos of random moments."""

from dataclasses import dataclass
from pathlib import Path

from convert.commands.progress import bar
from convert.errors import GateError
from convert.field import looked, measure, photos
from convert.field.answers import classify
from convert.field.page import render
from convert.field.record import FieldRecord, FieldVerdict
from convert.field.trained import read_trained
from convert.field.words import promise_of
from device.contract import bundle as contract
from device.files import write_text
from device.inference.classifier import Classifier
from device.workstation.engine.progress import bars

RECORD, PAGE = "field.json", "field.html"


@dataclass(frozen=True)
class FieldInputs:
    """What is measured, and where the result goes."""

    data: Path
    """Folder of sorted photos."""
    bundle: Path
    training: Path
    """The folder of the training that made the bundle."""
    out: Path
    event_s: float = 60.0
    """Photos of one device with gaps of at most this are one event."""


def measure_field(inputs: FieldInputs, *, show_progress: bool = False) -> FieldRecord:
    """Judge a bundle by sorted photos from devices; writes the page and the record.

    Raises:
        InputError: if the folder has no photos that can judge.
        BundleError: if the bundle is damaged, or packed by another version.
    """
    bundle = contract.load(inputs.bundle)
    promised = promise_of(bundle)
    paths, skipped = photos.list_photos(inputs.data)
    with bars(shown=show_progress) as progress:
        advance = bar(progress, "reading photos", len(paths))
        found = photos.read_photos(inputs.data, paths, advance)
        trained = read_trained(inputs.training, bundle)
        ready = measure.sort_out(found, bundle, trained, inputs.event_s)
        ready.require_judges()
        advance = bar(progress, "looking for subjects", len(found))
        seen = looked.look(found, ready.judging, bundle, advance)
        advance = bar(progress, "classifying", len(ready.judging))
        said, damaged = classify(ready.judging, Classifier.from_bundle(bundle), seen, advance)
    ready = ready.without(damaged)
    ready.require_judges()
    setting = measure.Setting(
        str(inputs.data), bundle, promised, inputs.event_s, trained, tuple(skipped)
    )
    record = measure.field_record(setting, ready, said)
    inputs.out.mkdir(parents=True, exist_ok=True)
    files = {photo.path: photo.file for photo in found}
    write_text(inputs.out / PAGE, render(record, files))
    record.write(inputs.out / RECORD)
    return record


def require_promise(record: FieldRecord) -> None:
    """Refuse a bundle that is not as good as promised.

    Raises:
        GateError: if it is not.
    """
    if record.verdict is FieldVerdict.LOWER:
        raise GateError(record.verdict_line)
