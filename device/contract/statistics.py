"""What known photos look like to the network: `statistics.npz` in the bundle.

The features of known photos, each scaled to length 1, lie almost entirely along a few dozen
directions. What a picture shows beside these is nothing that the network was trained on, however
high its best score is. Together with the highest logit it tells how strange a picture is.
"""

import io
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from device.errors import BundleError

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

STATISTICS_FILE = "statistics.npz"
LIMIT = 1.0
"""The distance that at most one known photo in twenty exceeds, whatever its label."""
DISTANCES = (0.0, 2.0)
"""Range around the limit within which distances of several frames count together, so that no frame
outweighs all others."""
MAX_BYTES = 200_000
OUTSIDE_WEIGHT = 1.5
"""How much a step outside counts beside a step of the logit. How long the steps are, the bundle
says."""
_REBUILD = "build it again with `make bundle`"


@dataclass(frozen=True)
class FeatureStatistics:
    """Directions of known features, and what is usual for known photos that trained nothing."""

    directions: Floats
    """float32 (features, d), stored as float16: orthogonal, of length 1, most important first."""
    usual: Doubles
    """float64 (2, 2): of the doubt (minus the highest logit), and of the share outside, the middle
    and one step."""
    classes: Doubles
    """float64 (classes, 2): of the strangeness of photos that get each label, the middle, and the
    limit that at most one known photo in twenty exceeds."""
    taught: Floats | None = None
    """float32 (features,), stored as float16: what tells the user's own strangers from known
    photos, in units of the share outside; None if none taught."""

    @classmethod
    def unscaled(cls, directions: Floats, classes: int) -> "FeatureStatistics":
        """Statistics before validation photos have told what is usual."""
        scale = np.array([[0.0, 1.0]])
        return cls(directions, np.repeat(scale, 2, axis=0), np.repeat(scale, classes, axis=0))

    def outside(self, features: Floats) -> float:
        """How much of the features is beside those of known photos.

        It is the share of their square that is along none of the directions, 0 to 1. If the user's
        own strangers taught, how much the features are like theirs is added.

        Args:
            features: float32 (features,), real values of the model's output.
        """
        square = float(features @ features)
        if square == 0:
            return 1.0
        # Not `@`: for so many numbers a BLAS library wakes threads, which then spin for a while
        # beside the next inference, 4 to 6% of its instructions on an emulated A72.
        inside = np.einsum("i,ij->j", features, self.directions)
        beside = float(np.clip(1 - float(inside @ inside) / square, 0, 1))
        if self.taught is None:
            return beside
        like = float(np.einsum("i,i", features, self.taught)) / float(np.sqrt(square))
        return beside + like

    def measured(self, logits: Floats, features: Floats) -> Doubles:
        """float64 (2,): the doubt, which is minus the highest logit, and the share outside.

        Args:
            logits: float32 (classes,).
            features: float32 (features,).
        """
        return np.array([-float(logits.max()), self.outside(features)])

    def strangeness(self, measured: Doubles) -> Doubles:
        """How strange pictures are, whatever their label: 0 is the middle of known photos.

        Args:
            measured: float64 (..., 2), of `measured`.

        Returns:
            float64 (...).
        """
        doubt, outside = np.moveaxis((measured - self.usual[:, 0]) / self.usual[:, 1], -1, 0)
        return np.asarray(doubt + OUTSIDE_WEIGHT * outside, np.float64)

    def novelty(self, measured: Doubles) -> float:
        """How much more of the strangeness is of what lies outside than of the doubt.

        Args:
            measured: float64 (2,), of `measured`.

        Returns:
            Above 0 for what no training photo shows, below 0 for what the classes share.
        """
        doubt, outside = (measured - self.usual[:, 0]) / self.usual[:, 1]
        return float(OUTSIDE_WEIGHT * outside - doubt)

    def distance(self, label: int, measured: Doubles) -> float:
        """How strange a picture is for its label: 0 is the middle of known photos, 1 the limit.

        Args:
            label: index of the class that the picture is called.
            measured: float64 (2,), of `measured`.
        """
        middle, limit = self.classes[label]
        return float((self.strangeness(measured) - middle) / (limit - middle))

    def content(self) -> bytes:
        """The bytes of the file; equal statistics give equal bytes."""
        data = io.BytesIO()
        arrays: dict[str, Any] = {
            "directions": self.directions.astype(np.float16),
            "usual": self.usual.astype(np.float64),
            "classes": self.classes.astype(np.float64),
        }
        if self.taught is not None:
            arrays["taught"] = self.taught.astype(np.float16)
        np.savez(data, **arrays)
        return data.getvalue()

    @classmethod
    def read(cls, data: bytes, classes: int) -> "FeatureStatistics":
        """The statistics of a bundle.

        Args:
            data: the file.
            classes: number of labels.

        Raises:
            BundleError: if the file is not what convert writes, or does not fit the labels.
        """
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as archive:
                arrays = {name: np.asarray(archive[name], np.float64) for name in archive.files}
            directions = arrays.pop("directions").astype(np.float32)
            taught = arrays.pop("taught").astype(np.float32) if "taught" in arrays else None
            read = cls(directions=directions, taught=taught, **arrays)
        except Exception as error:
            # On damaged archives NumPy raises anything: BadZipFile, ValueError, EOFError ...
            raise BundleError(f"{STATISTICS_FILE} cannot be read ({error}); {_REBUILD}") from error
        read._check(classes)
        return read

    def _check(self, classes: int) -> None:
        arrays = [each for field in fields(self) if (each := getattr(self, field.name)) is not None]
        whole = (
            self.directions.ndim == 2
            and self.directions.size > 0
            and self.usual.shape == (2, 2)
            and self.classes.shape == (classes, 2)
            and (self.taught is None or self.taught.shape == self.directions.shape[:1])
            and all(bool(np.isfinite(array).all()) for array in arrays)
            and bool((self.usual[:, 1] > 0).all())
            and bool((self.classes[:, 1] > self.classes[:, 0]).all())
        )
        if not whole:
            raise BundleError(f"{STATISTICS_FILE} does not fit {classes} labels; {_REBUILD}")


def within(distance: float | None) -> float | None:
    """A distance, brought into `DISTANCES`; None stays None."""
    return None if distance is None else min(max(distance, DISTANCES[0]), DISTANCES[1])
