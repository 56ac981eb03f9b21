"""What a bundle says about the photos that judge it."""

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from convert.field.moments import moment_of
from convert.field.photos import FieldPhoto, shown_class
from convert.field.record import JudgedPhoto
from device.errors import PhotoError
from device.inference.classifier import Prediction


def classify(
    photos: Sequence[FieldPhoto],
    classify_file: Callable[[Path], Prediction],
    advance: Callable[[], None] = lambda: None,
) -> tuple[dict[str, Prediction], set[str]]:
    """Classify photo files.

    Returns:
        The predictions by path, and the paths of the photos that are damaged.
    """
    said, damaged = {}, set()
    for photo in photos:
        try:
            said[photo.path] = classify_file(photo.file)
        except PhotoError:
            damaged.add(photo.path)
        advance()
    return said, damaged


def judged(photo: FieldPhoto, event: str, said: Prediction, models: Collection[str]) -> JudgedPhoto:
    """A photo with what the bundle says about it.

    Args:
        photo: with a class, and a record with a probability.
        event: which event it is of.
        said: the bundle's prediction.
        models: SHA-256 of the bundle's models.
    """
    record = photo.record
    assert record is not None and record.probability is not None
    same_model = record.model_sha256 in models and record.top
    return JudgedPhoto(
        path=photo.path,
        sha256=photo.sha256,
        device=record.device,
        time=record.time,
        day=moment_of(record).day,
        event=event,
        probability=record.probability,
        label=shown_class(photo, said.labels),
        predicted=said.label,
        score=round(said.score, 6),
        unknown=said.unknown,
        named=max(record.top, key=lambda name: record.top[name]) if same_model else "",
    )
