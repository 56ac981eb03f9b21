"""From the photos of a folder to the record of the field."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from convert.errors import InputError
from convert.field import looked
from convert.field.advice import advise
from convert.field.answers import Said, judged
from convert.field.figures import figures_of
from convert.field.moments import NO_DAY
from convert.field.photos import DAMAGED, FieldPhoto, left_out, missing_ones, reasons
from convert.field.record import FieldRecord, JudgedPhoto, Promise, days_of
from convert.field.trained import Trained, doubts, occasions
from convert.field.words import judge
from device.contract.bundle import EDGETPU_MODEL, MODEL, Bundle
from device.workstation.wording import number


@dataclass(frozen=True)
class Sorted:
    """The photos of a folder: those that may judge, and why the others do not."""

    judging: tuple[FieldPhoto, ...]
    events: Mapping[str, str]
    """By path."""
    why: Mapping[str, str]
    """By path, the reason of each photo that does not judge."""
    notes: tuple[str, ...] = ()
    """What could make the figures wrong."""

    def without(self, damaged: Collection[str]) -> "Sorted":
        """The same without some photos, by path, that turned out to be damaged."""
        judging = tuple(photo for photo in self.judging if photo.path not in damaged)
        return replace(self, judging=judging, why={**self.why, **dict.fromkeys(damaged, DAMAGED)})

    def require_judges(self) -> None:
        """Refuse to say anything without photos.

        Raises:
            InputError: if no photo judges; it says why.
        """
        if not self.judging:
            counts = "; ".join(f"{each.n:,} {each.reason}" for each in left_out(self.why))
            raise InputError(f"no photo is left that can judge the bundle: {counts}")


def sort_out(
    found: Sequence[FieldPhoto], bundle: Bundle, trained: Trained, event_s: float
) -> Sorted:
    """Find the photos that may judge a bundle."""
    known = occasions(found, trained, event_s)
    reason = {**known.reasons, **reasons(found, bundle.labels)}
    why = {photo.path: reason[photo.path] for photo in found if photo.path in reason}
    judging = tuple(photo for photo in found if photo.path not in why)
    notes = (
        *doubts(judging, trained, _models(bundle)),
        *missing_ones(found, why),
        *looked.altered(judging),
    )
    return Sorted(judging, known.events, why, notes)


def _models(bundle: Bundle) -> set[str]:
    """SHA-256 of the bundle's models: for the CPU, and perhaps for an Edge TPU."""
    files = bundle.manifest["files"]
    return {files[name]["sha256"] for name in (MODEL, EDGETPU_MODEL) if name in files}


@dataclass(frozen=True)
class Setting:
    """What is judged, and where."""

    folder: str
    bundle: Bundle
    promised: Promise
    """By the bundle."""
    event_s: float
    trained: Trained
    skipped: tuple[str, ...] = ()
    """A line for each kind of file in the folder that is no photo."""


def field_record(setting: Setting, ready: Sorted, answers: Mapping[str, Said]) -> FieldRecord:
    """Estimate all figures, and judge.

    Args:
        setting: what is judged.
        ready: the photos; at least one judges.
        answers: what the bundle says about those that judge, by path.
    """
    bundle, models = setting.bundle, _models(setting.bundle)
    photos = tuple(
        judged(photo, ready.events[photo.path], answers[photo.path], models)
        for photo in ready.judging
    )
    promised, figures = setting.promised, figures_of(photos)
    days = len(days_of(photo for photo in photos if photo.known))
    is_new = setting.trained.excludes(photo.device for photo in photos)
    judgement = judge(figures.right, promised, days, new_places=is_new)
    return FieldRecord(
        folder=setting.folder,
        bundle=bundle.data,
        model_sha256=bundle.manifest["files"][MODEL]["sha256"],
        event_s=setting.event_s,
        verdict=judgement.verdict,
        verdict_line=judgement.line,
        new_places_verdict=judgement.new_places,
        promised=promised,
        figures=figures,
        advice=advise(judgement, promised, figures, photos),
        notes=(*ready.notes, *_clock(photos), *_shown(answers, bundle)),
        left_out=left_out(ready.why),
        skipped=setting.skipped,
        photos=photos,
    )


def _shown(answers: Mapping[str, Said], bundle: Bundle) -> list[str]:
    return looked.note({path: said.sight for path, said in answers.items()}, bundle.region)


def _clock(photos: Sequence[JudgedPhoto]) -> list[str]:
    dark = sum(photo.day == NO_DAY for photo in photos)
    text = "whose clock was not set: their day is not known, and events may be joined too often"
    return [f"{number(dark, 'photo')} of devices {text}"] if dark else []
