"""A photo of the data folder, as the split sees it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from device.contract.arrays import Box
from device.contract.moments import Moment
from train import columns
from train.columns import Column, Digests, Fields, Floats, Texts, gathered, values_of
from train.data.looks import (
    AnyThumbnails,
    Details,
    KeptDetails,
    KeptLooks,
    Look,
    Thumbnails,
    kept_of,
)

SILENT = Moment()
"""Of a photo that says nothing, which very many share."""


@dataclass(frozen=True, slots=True)
class Photo:
    """One file of the data folder, with what the split needs to know of it."""

    path: str
    """Relative to the data folder, with forward slashes."""
    label: str
    sha256: str
    look: Look | None = None
    """The picture in small; None if the file is not a usable photo."""
    problem: str = ""
    """Why it cannot be used; empty for a good photo."""
    collected: bool = False
    """Whether a device saved it: such photos are trained on, never used to judge a model."""
    moment: Moment = SILENT
    """What it says of its camera and time."""
    film: str = ""
    """Path of the film that it is a frame of; empty if it is none."""
    box: Box | None = None
    """Where something is, in pixels of `decode_frame`'s picture; None if only other photos can
    tell."""


def together(photos: Iterable[Photo], folder: Path | None = None) -> Sequence[Photo]:
    """All of them: many, whose looks are in a file, in files of a folder, too.

    Args:
        photos: which need not be in memory.
        folder: that is there; None: the system's for such files.

    Raises:
        OSError: if they cannot be written.
    """
    unlike: dict[str, Column] = {
        "path": Texts(folder),
        "sha256": Digests(folder),
        "look": KeptLooks(folder),
        "moment": Fields(Moment, {"seconds": Floats(folder)}, folder),
    }
    return gathered(photos, Fields(Photo, unlike, folder))


def thumbnails(photos: Sequence[Photo]) -> AnyThumbnails:
    """Those of usable photos, float32 (n, 768): in memory if they are few."""
    kept = kept_of(_looks(photos))
    if kept is None:
        return np.stack([look.thumbnail for look in _looks(photos)])
    found = Thumbnails(*kept)
    return found if len(found) >= columns.MANY else found[:]


def details(photos: Sequence[Photo]) -> Details | None:
    """Those of usable photos, uint8 (n, 32, 32, 3); None if one has none."""
    kept = kept_of(_looks(photos))
    if kept is not None and len(kept[1]) == len(photos):
        some = KeptDetails(*kept)
        return some if len(some) >= columns.MANY else some[:]
    found = [each for look in _looks(photos) if (each := look.detail) is not None]
    return np.stack(found) if len(found) == len(photos) else None


def boxes_of(photos: Sequence[Photo]) -> dict[str, Box]:
    """By path, the boxes that are known."""
    both = zip(values_of(photos, "path"), values_of(photos, "box"), strict=True)
    return {path: box for path, box in both if box is not None}


def _looks(photos: Sequence[Photo]) -> Iterator[Look]:
    return (look for look in values_of(photos, "look") if look is not None)
