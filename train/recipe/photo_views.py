"""The task of showing the views of photos to a network's frozen part."""

from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image

from device.contract.arrays import Box, Pixels
from device.contract.preprocess import Preprocessing
from device.workstation.faults.catalogue import frame_rules
from device.workstation.photo_files import PhotoFiles
from train.data.augment import decoded
from train.data.listed import listed
from train.data.split import Row
from train.network.cache import Activations
from train.network.frozen import Frozen
from train.recipe.places import Exchange
from train.views.robust import has_fault, with_fault


@dataclass(frozen=True)
class PhotoViews:
    """Views of photos, as the frozen part sees them."""

    stem: Frozen
    files: PhotoFiles
    rules: Preprocessing
    exchange: Exchange
    seed: int
    robust: bool
    """Whether half of the views have a fault of cameras."""

    def setup(self) -> Callable[[tuple[Row, Box | None, int]], Activations]:
        """As for every task."""
        return self.of

    def of(self, view: tuple[Row, Box | None, int]) -> Activations:
        """float16 (...): the frozen part's output for a view of a photo.

        Args:
            view: the photo, the box to which it is cut, and the view's number.

        Raises:
            DataError: if it is missing or has changed since it was scanned.
        """
        row, box, number = view
        with listed(self.files, row.path, row.sha256) as data:
            image = decoded(data, self.rules, box)
        seed = int(row.sha256[:12], 16) ^ self.seed
        return self.stem(self._view(image, row, number, seed, box))

    def _view(
        self, image: Image.Image, row: Row, number: int, seed: int, box: Box | None
    ) -> Pixels:
        if not (self.robust and has_fault(number)):
            return self.exchange.view(image, row, self.rules, number, seed, box)
        frame = self.exchange.view(image, row, frame_rules(self.rules), number, seed, box)
        return with_fault(frame, self.rules, number, seed)
