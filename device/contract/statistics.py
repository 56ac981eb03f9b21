"""What the features of known photos look like, class by class: `statistics.npz` in the bundle.

The features are the model's third output: the spatial mean of its last convolution. A picture
whose features are far from those of every class shows nothing that the model knows, however high
its best score is.
"""

import io
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from device.errors import BundleError

Floats = npt.NDArray[np.float32]

STATISTICS_FILE = "statistics.npz"
MAX_BYTES = 200_000
_REBUILD = "build it again with `make bundle`"


@dataclass(frozen=True)
class FeatureStatistics:
    """A Gaussian for each class, all with the covariance that they share."""

    mean: Floats
    """float32 (classes, d): each class in the reduced space."""
    directions: Floats
    """float32 (features, d), stored as float16: the leading directions of the covariance within
    classes, each divided by its standard deviation."""
    center: Floats
    """float32 (features,): the mean of the classes."""

    def reduced(self, features: Floats) -> Floats:
        """Features in the reduced space, in which all classes have a spread of 1.

        Args:
            features: float32 (..., features), real values of the model's output.

        Returns:
            float32 (..., d).
        """
        return np.asarray((features - self.center) @ self.directions, np.float32)

    def distance(self, features: Floats) -> float:
        """How far one picture is from the nearest class (Mahalanobis), 0 and more.

        Args:
            features: float32 (features,).
        """
        away = self.mean - self.reduced(features)
        return float(np.sqrt((away * away).sum(axis=1).min()))

    def content(self) -> bytes:
        """The bytes of the file; equal statistics give equal bytes."""
        data = io.BytesIO()
        np.savez(
            data,
            mean=self.mean.astype(np.float32),
            directions=self.directions.astype(np.float16),
            center=self.center.astype(np.float32),
        )
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
                arrays = {name: np.asarray(archive[name], np.float32) for name in archive.files}
            read = cls(**arrays)
        except Exception as error:
            # On damaged archives NumPy raises anything: BadZipFile, ValueError, EOFError ...
            raise BundleError(f"{STATISTICS_FILE} cannot be read ({error}); {_REBUILD}") from error
        read._check(classes)
        return read

    def _check(self, classes: int) -> None:
        arrays = (self.mean, self.directions, self.center)
        whole = (
            tuple(array.ndim for array in arrays) == (2, 2, 1)
            and self.directions.shape == (len(self.center), self.mean.shape[1])
            and len(self.mean) == classes
            and self.directions.size > 0
            and all(bool(np.isfinite(array).all()) for array in arrays)
        )
        if not whole:
            raise BundleError(f"{STATISTICS_FILE} does not fit {classes} labels; {_REBUILD}")
