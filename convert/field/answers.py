"""What a bundle says about the photos that judge it."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from convert.field.moments import moment_of
from convert.field.photos import FieldPhoto, shown_class
from convert.field.record import NOTHING_SEEN, JudgedPhoto
from device.contract.look.rules import Seen
from device.errors import PhotoError
from device.inference.classifier import Classifier, Prediction
from device.inference.photos.standing import Sight


@dataclass(frozen=True)
class Said:
    """What a bundle says about a photo, and what of it was shown to the model."""

    prediction: Prediction
    sight: Sight


def classify(
    photos: Sequence[FieldPhoto],
    classifier: Classifier,
    seen: Mapping[str, Sight],
    advance: Callable[[], None] = lambda: None,
) -> tuple[dict[str, Said], set[str]]:
    """Classify photo files.

    Args:
        photos: to classify.
        classifier: of the bundle.
        seen: what of them the model is shown, by path.
        advance: called after each photo.

    Returns:
        The answers by path, and the paths of the photos that are damaged.
    """
    said, damaged = dict[str, Said](), set[str]()
    for photo in photos:
        sight = seen[photo.path]
        try:
            said[photo.path] = Said(classifier.classify_file(photo.file, sight.box), sight)
        except PhotoError:
            damaged.add(photo.path)
        advance()
    return said, damaged


def judged(photo: FieldPhoto, event: str, said: Said, models: Collection[str]) -> JudgedPhoto:
    """A photo with what the bundle says about it.

    Args:
        photo: with a class, and a record with a probability.
        event: which event it is of.
        said: by the bundle. Where nothing new is seen a device runs no model.
        models: SHA-256 of the bundle's models.
    """
    record = photo.record
    assert record is not None and record.probability is not None
    answer, is_empty = said.prediction, said.sight.seen is Seen.NOTHING
    same_model = record.model_sha256 in models and record.top
    return JudgedPhoto(
        path=photo.path,
        sha256=photo.sha256,
        device=record.device,
        time=record.time,
        day=moment_of(record).day,
        event=event,
        probability=record.probability,
        label=shown_class(photo, answer.labels),
        seen=said.sight.seen,
        box=said.sight.box,
        predicted=NOTHING_SEEN if is_empty else answer.label,
        score=0.0 if is_empty else round(answer.score, 6),
        unknown=is_empty or answer.unknown,
        named=max(record.top, key=lambda name: record.top[name]) if same_model else "",
    )
