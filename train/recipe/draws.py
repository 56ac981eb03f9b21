"""Which view of which photo each step of fine-tuning trains on.

The draws are known before any view is computed. So only views that are drawn are: after ten epochs
that is less than three quarters of eight views of each photo.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from train.network.cache import Activations
from train.recipe.config import TrainConfig

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Step:
    """What one step trains on."""

    photos: Numbers
    """int64 (batch,): indices of training photos."""
    views: Numbers
    """int64 (batch,): the view of each."""
    partners: npt.NDArray[np.int32]
    """int32 (batch,): the example that each is blended with, by its place in the batch."""
    shares: npt.NDArray[np.float32]
    """float32 (batch, 1): the partner's share."""


@dataclass(frozen=True)
class Pairs:
    """Photos, each with one of its views."""

    photos: Numbers
    """int64 (n,), ascending."""
    views: Numbers
    """int64 (n,)."""
    title: str
    """For a progress bar."""

    @classmethod
    def where(cls, chosen: npt.NDArray[np.bool_], title: str) -> "Pairs":
        """Those that are true in bool (photos, views)."""
        photos, views = np.nonzero(chosen)
        return cls(photos, views, title)

    def __len__(self) -> int:
        return len(self.photos)

    @property
    def content(self) -> bytes:
        """The same bytes for the same pairs alone."""
        return np.stack([self.photos, self.views]).tobytes()


@dataclass(frozen=True)
class Draws:
    """The draws of all epochs; each epoch's derive from (seed, epoch) alone."""

    photos: int
    """How many are trained on."""
    views: int
    """How many each has."""
    epochs: int
    batch: int
    seed: int
    mixup: float
    """The largest share of a partner."""

    @classmethod
    def of(cls, config: TrainConfig, photos: int) -> "Draws":
        """Those of a training on so many photos."""
        batch = min(config.batch_size, photos)
        return cls(photos, config.views, config.epochs, batch, config.seed, config.mixup)

    @property
    def steps(self) -> int:
        """Of an epoch."""
        return self.photos // self.batch

    def offered(self, epoch: int) -> int:
        """How many views an epoch draws from: 2 in the first two epochs, then doubling."""
        return min(2 << max(0, epoch - 1), self.views)

    def epoch(self, number: int) -> Iterator[Step]:
        """The steps of an epoch, which count from 0."""
        rng = np.random.default_rng([self.seed, number])
        order = rng.permutation(self.photos)
        for step in range(self.steps):
            chosen = order[step * self.batch : (step + 1) * self.batch]
            view = rng.integers(0, self.offered(number), len(chosen))
            partner = rng.permutation(len(chosen)).astype(np.int32)
            share = rng.uniform(0, self.mixup, (len(chosen), 1)).astype(np.float32)
            yield Step(chosen, view, partner, share)

    @cached_property
    def pieces(self) -> tuple[Pairs, ...]:
        """View 0 of all photos, which the head needs; then what each epoch is the first to draw.

        What an epoch adds does not depend on how many epochs follow, so a longer training begins
        with the pieces of a shorter one.
        """
        known = np.zeros((self.photos, self.views), bool)
        known[:, 0] = True
        pieces = [Pairs.where(known, "view 1")]
        for number in range(self.epochs):
            drawn = np.zeros_like(known)
            for step in self.epoch(number):
                drawn[step.photos, step.views] = True
            pieces.append(Pairs.where(drawn & ~known, f"views for epoch {number + 1}"))
            known |= drawn
        return tuple(pieces)


class Drawn:
    """Something known of the drawn views, computed when an epoch first needs it."""

    def __init__(self, draws: Draws, compute: Callable[[Pairs], Activations]) -> None:
        """`compute` gives float16 (n, ...) for n pairs; it is not asked for none."""
        self.draws, self.compute = draws, compute
        self._known: list[Activations] = []
        shape = (draws.photos, draws.views)
        self._piece, self._row = np.full(shape, -1), np.zeros(shape, np.int64)

    def first(self) -> Activations:
        """float16 (photos, ...): of view 0 of all photos."""
        self._take(1)
        return self._known[0]

    def prepare(self, epoch: int) -> None:
        """Compute what an epoch needs; epochs count from 0."""
        self._take(epoch + 2)

    def rows(self, photos: Numbers, views: Numbers) -> Activations:
        """float16 (n, ...): of n drawn views that are prepared."""
        pieces, rows = self._piece[photos, views], self._row[photos, views]
        return np.stack([self._known[piece][row] for piece, row in zip(pieces, rows, strict=True)])

    def _take(self, pieces: int) -> None:
        for number in range(len(self._known), pieces):
            pairs = self.draws.pieces[number]
            self._known.append(self.compute(pairs) if len(pairs) else np.empty(0, np.float16))
            self._piece[pairs.photos, pairs.views] = number
            self._row[pairs.photos, pairs.views] = np.arange(len(pairs))
