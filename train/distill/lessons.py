"""Lessons for the pupil of a distillation: views of photos, with the teacher's answers.

Teacher and pupil see the same augmented view, each at its own input size.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from rich.console import Console
from rich.progress import Progress

from device.contract.arrays import Box, Pixels
from device.contract.preprocess import Preprocessing
from device.workstation.photo_files import PhotoFiles
from train.data.augment import decoded, view
from train.data.listed import listed
from train.data.split import Row

FEATURES = "features"
TEACHER_BATCH = 32
LESSON_BYTES = 1024**3
"""Lessons are kept in memory; this limits the number of views per photo."""


@dataclass(frozen=True)
class Lessons:
    """Views of the training photos with the teacher's answers."""

    pixels: npt.NDArray[np.uint8]
    """(views, n, size, size, 3)."""
    logits: npt.NDArray[np.float32]
    """(views, n, classes)."""
    features: npt.NDArray[np.float16]
    """(views, n, channels), the teacher's last feature map, averaged over its cells."""


def take_lessons(
    teacher: keras.Model,
    files: PhotoFiles,
    rows: Sequence[Row],
    small: Preprocessing,
    views: int,
    seed: int,
    cuts: Mapping[str, Box] = MappingProxyType({}),
) -> Lessons:
    """Run the teacher on each photo.

    Args:
        teacher: a classifier from `train.network.backbone`.
        files: finds the rows' photos.
        rows: the training photos.
        small: the preprocessing of the pupil.
        views: number per photo, fewer if they need more than `LESSON_BYTES`; the first is the
            photo as the device prepares it.
        seed: seed of the views.
        cuts: by path, where photos are cut.

    Raises:
        DataError: if a photo is missing or has changed.
    """
    outputs = [teacher.get_layer(name).output for name in ("logits", FEATURES)]
    lessons = _empty_lessons(outputs, len(rows), small, views)
    answers, own = _compiled(keras.Model(teacher.input, outputs)), _own_rules(teacher)
    views, starts = len(lessons.pixels), range(0, len(rows), TEACHER_BATCH)
    with Progress(console=Console(stderr=True)) as progress, ThreadPoolExecutor(2) as pool:
        task = progress.add_task(f"{'running the teacher':24}", total=views * len(starts))
        for number, start in itertools.product(range(views), starts):
            chosen = slice(start, start + TEACHER_BATCH)
            view_of = partial(_view_in_sizes, files, (small, own), number, seed)
            boxes = [cuts.get(row.path) for row in rows[chosen]]
            pairs = list(pool.map(view_of, rows[chosen], boxes))
            lessons.pixels[number, chosen] = [pair[0] for pair in pairs]
            logits, features = answers(np.stack([pair[1] for pair in pairs]))
            lessons.logits[number, chosen] = logits
            lessons.features[number, chosen] = features
            progress.advance(task)
    return lessons


def _empty_lessons(outputs: Sequence[Any], count: int, small: Preprocessing, views: int) -> Lessons:
    classes, channels = (output.shape[-1] for output in outputs)
    photo_bytes = int(np.prod(small.shape)) + 2 * channels
    views = max(1, min(views, LESSON_BYTES // (count * photo_bytes)))
    return Lessons(
        np.empty((views, count, *small.shape), np.uint8),
        np.empty((views, count, classes), np.float32),
        np.empty((views, count, channels), np.float16),
    )


def _own_rules(network: keras.Model) -> Preprocessing:
    _, height_px, width_px, _ = network.input_shape
    return Preprocessing(height_px, width_px)


def _view_in_sizes(
    files: PhotoFiles,
    sizes: Sequence[Preprocessing],
    number: int,
    seed: int,
    row: Row,
    box: Box | None,
) -> list[Pixels]:
    """One view of a photo, small and large."""
    with listed(files, row.path, row.sha256) as data:
        image = decoded(data, sizes[-1], box)
        own_seed = int(row.sha256[:12], 16) ^ seed
        return [view(image, rules, number, own_seed, box) for rules in sizes]


def _compiled(network: keras.Model) -> Callable[[Pixels], Any]:
    def answers(pixels: Any) -> Any:
        logits, features = network(pixels, training=False)
        return logits, tf.reduce_mean(features, (1, 2))

    compiled: Callable[[Pixels], Any] = tf.function(answers, autograph=False, jit_compile=False)
    return compiled
