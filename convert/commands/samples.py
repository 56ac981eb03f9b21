"""Copies a few test photos of each class, as frames to try the bundle with."""

import shutil
from pathlib import Path

from convert.artifacts.training import one_class_after_another, read_training
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
        name = f"{number:03d}_{training.labels[photo.label]}{Path(photo.path).suffix.lower()}"
        (out / name).write_bytes(training.content(photo))
