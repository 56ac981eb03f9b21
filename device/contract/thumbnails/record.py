"""`thumbnails.npz`: small pictures of some training photos, in bundles whose owner wants them.

They answer why a frame is called what it is: which training photos are most like it, by the
features that decide. Nothing else needs them, so what is wrong with them stops nothing else.
"""

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from device.contract.thumbnails import webp
from device.errors import ThumbnailsError

Floats = npt.NDArray[np.float32]

THUMBNAILS_FILE = "thumbnails.npz"
MAX_BYTES = 150_000
MOST_SIDE_PX = 128
NEAREST = 3
"""How many a page shows beside a frame."""


@dataclass(frozen=True)
class Thumbnails:
    """Pictures of training photos, and where their features lie."""

    pictures: tuple[bytes, ...]
    """Each a plain WebP of at most `MOST_SIDE_PX` a side."""
    labels: tuple[int, ...]
    """The class of each, an index into the bundle's labels."""
    places: Floats
    """float32 (k, d), stored as float16: of each the features, as `placed` gives them."""
    directions: Floats
    """float32 (features, d): those of the bundle's statistics; not in the file."""

    def nearest(self, features: Floats, count: int = NEAREST) -> list[int]:
        """The pictures most like a frame, the most similar one first.

        Args:
            features: float32 (features,), of the frame.
            count: how many at most.
        """
        likeness = np.einsum("ij,j->i", self.places, placed(features, self.directions))
        return [int(i) for i in np.argsort(-likeness, kind="stable")[:count]]

    def content(self) -> bytes:
        """The bytes of the file; equal pictures give equal bytes."""
        data = io.BytesIO()
        np.savez(
            data,
            pictures=np.frombuffer(b"".join(self.pictures), np.uint8),
            ends=np.cumsum([len(picture) for picture in self.pictures], dtype=np.int64),
            labels=np.array(self.labels, np.int32),
            places=self.places.astype(np.float16),
        )
        return data.getvalue()

    @classmethod
    def read(cls, data: bytes, classes: int, directions: Floats) -> "Thumbnails":
        """The thumbnails of a bundle.

        Args:
            data: the file.
            classes: number of labels.
            directions: of the bundle's statistics.

        Raises:
            ThumbnailsError: if the file is not what convert writes, or does not fit the bundle.
        """
        try:
            arrays = _arrays(data)
            ends = [0, *map(int, arrays["ends"])]
            pixels = arrays["pictures"].tobytes()
            pictures = tuple(pixels[begin:end] for begin, end in pairwise(ends))
            labels = tuple(int(label) for label in arrays["labels"])
            read = cls(pictures, labels, arrays["places"].astype(np.float32), directions)
            _check(read, classes, rest=len(pixels) - ends[-1])
        except Exception as error:
            # On damaged archives NumPy raises anything: BadZipFile, ValueError, EOFError ...
            raise ThumbnailsError(f"{THUMBNAILS_FILE} is damaged ({error})") from error
        return read


def placed(features: Floats, directions: Floats) -> Floats:
    """Where features lie along the directions, at length 1: (features,) to (d,); zeros stay zeros.

    Args:
        features: float32 (features,).
        directions: float32 (features, d), orthonormal.
    """
    # Not `@`: see `FeatureStatistics.outside`.
    along = np.einsum("i,ij->j", features, directions)
    length = float(np.linalg.norm(along))
    return np.asarray(along / length if length else along, np.float32)


def _arrays(data: bytes) -> dict[str, npt.NDArray[np.generic]]:
    if len(data) > MAX_BYTES:
        raise ValueError(f"it has more than {MAX_BYTES:,} bytes")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        # Stored, not compressed: what is read is no larger than the file.
        if any(member.file_size != member.compress_size for member in archive.infolist()):
            raise ValueError("it is compressed")
    with np.load(io.BytesIO(data), allow_pickle=False) as loaded:
        return {name: loaded[name] for name in ("pictures", "ends", "labels", "places")}


def _check(read: Thumbnails, classes: int, rest: int) -> None:
    """Raise ValueError unless all parts fit each other and the bundle."""
    count = len(read.pictures)
    whole = (
        count > 0
        and rest == 0
        and len(read.labels) == count
        and read.places.shape == (count, read.directions.shape[1])
        and bool(np.isfinite(read.places).all())
        and all(0 <= label < classes for label in read.labels)
    )
    if not whole:
        raise ValueError("its parts do not fit each other or the labels")
    if max(side for sides in _sizes(read.pictures) for side in sides) > MOST_SIDE_PX:
        raise ValueError(f"a picture has more than {MOST_SIDE_PX} pixels a side")


def _sizes(pictures: Sequence[bytes]) -> list[tuple[int, int]]:
    return [webp.size_px(picture) for picture in pictures]
