"""Copies a few test photos of each class, as frames to try the bundle with."""

import io
import shutil
from pathlib import Path

from PIL import Image

from convert.artifacts.training import LabelledPhoto, one_class_after_another, read_training
from device.contract.photos import decode_frame
from device.workstation.training import Part

SAMPLES_PER_CLASS = 2


def copy_samples(training_folder: Path, out: Path) -> None:
    """Copy some test photos into a folder; its earlier content is removed.

    Raises:
        InputError: if a file of the training, or one of the photos, is missing or has changed.
    """
    training = read_training(training_folder)
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    chosen = one_class_after_another(training.photos[Part.TEST])
    for number, photo in enumerate(chosen[: SAMPLES_PER_CLASS * len(training.labels)]):
        suffix, data = _frame(photo, training.content(photo))
        (out / f"{number:03d}_{training.labels[photo.label]}{suffix}").write_bytes(data)


def _frame(photo: LabelledPhoto, content: bytes) -> tuple[str, bytes]:
    """The suffix and bytes of a sample; of a photo that is cut, only what the model is to see."""
    if photo.box is None:
        return Path(photo.path).suffix.lower(), content
    left, upper, right, lower = photo.box
    buffer = io.BytesIO()
    # Without loss, so that it gives the model the very pixels of the box.
    Image.fromarray(decode_frame(content)[upper:lower, left:right]).save(buffer, "PNG")
    return ".png", buffer.getvalue()
