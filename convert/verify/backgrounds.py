"""Boxes without a subject: what a device may cut by mistake, for a shadow or a leaf.

They are cut from the photos that verification judges, as large as the box of the photo's subject
and anywhere beside it. A second subject that nobody boxed may be in one of them.
"""

import numpy as np

from convert.artifacts.training import LabelledPhoto, Training, one_class_after_another, turns
from device.contract.arrays import Box, Pixels
from device.contract.photos import decode_frame
from device.contract.preprocess import prepare_box
from device.workstation.training import Part

MOST = 200
TRIES = 64
"""Places in a photo that are tried before it counts as full."""


def chosen(training: Training) -> list[LabelledPhoto]:
    """The test photos that give a box: of those that are cut, one of each event before a second."""
    photos = one_class_after_another([p for p in training.photos[Part.TEST] if p.box])
    turn = turns([photo.event for photo in photos])
    return [photos[i] for i in sorted(range(len(photos)), key=turn.__getitem__)][:MOST]


def background(training: Training, photo: LabelledPhoto) -> Pixels | None:
    """A box of background of a photo that is cut, prepared; None if there is no room for one.

    Raises:
        InputError: if the photo is missing or has changed since the split.
    """
    frame = decode_frame(training.content(photo))
    height, width = frame.shape[:2]
    box = beside(photo.box, (width, height), int(photo.sha256[:8], 16)) if photo.box else None
    return None if box is None else prepare_box(frame, box, training.preprocessing)


def beside(box: Box, size: tuple[int, int], seed: int) -> Box | None:
    """A box of the same size that does not touch a box, at random; None if none was found.

    Args:
        box: inside the picture.
        size: width and height of the picture, in pixels.
        seed: of the place.
    """
    left, upper, right, lower = box
    wide, high = right - left, lower - upper
    rng = np.random.default_rng(seed)
    for _ in range(TRIES):
        x, y = int(rng.integers(size[0] - wide + 1)), int(rng.integers(size[1] - high + 1))
        if x >= right or x + wide <= left or y >= lower or y + high <= upper:
            return x, y, x + wide, y + high
    return None
