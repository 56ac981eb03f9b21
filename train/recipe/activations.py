"""The frozen part's output for each view of the photos, cached: fine-tuning begins from it."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import keras
import numpy as np

from device.workstation.training import CUTS, EVENTS, SPLIT, Part
from train.data.augment import views_digest
from train.network.cache import FIRST_VIEWS, Activations, cached, keep_only
from train.network.frozen import FROZEN_CODE, Frozen
from train.recipe.config import TrainConfig
from train.recipe.draws import Drawn, Draws, Pairs
from train.recipe.photo_views import PhotoViews
from train.recipe.photos import Photos
from train.recipe.places import Exchange
from train.stamps import code_digest

CACHE_FOLDER = "cache"
"""Beside the folder of the training."""
VIEWS_CODE = (
    *FROZEN_CODE,
    *(f"train/data/{name}.py" for name in ("augment", "listed", "sight/sighting")),
    *(f"train/views/{name}.py" for name in ("backgrounds", "exchange", "robust")),
    *(f"train/recipe/{name}.py" for name in ("activations", "photo_views", "photos", "places")),
    "device/contract/look/*.py",
    *(
        f"device/workstation/faults/{name}.py"
        for name in ("catalogue", "coding", "framing", "light", "optics")
    ),
)
"""Source files that may change activations."""


def digest(*parts: object) -> str:
    """A name for a cache file, from everything that its content depends on."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Seen:
    """What a network's frozen part sees of the photos of a split."""

    network: keras.Model
    config: TrainConfig
    weights_sha256: str
    """Of the weights before any training; the frozen part keeps them."""
    photos: Photos
    exchange: Exchange
    training: Path
    """The folder with `split.csv`."""
    cache: Path

    def views_key(self) -> str:
        """A key for everything that the cached views of the photos depend on."""
        rules = self.config.preprocessing
        # Events and places, too: they decide which photos exchange their backgrounds.
        split = [(self.training / name).read_bytes() for name in (SPLIT, EVENTS, CUTS)]
        inputs = digest(self.weights_sha256, split, rules.sha256(), *self._chosen())
        return digest(inputs, code_digest(VIEWS_CODE), views_digest(rules), self.config.robust)

    def _chosen(self) -> list[str]:
        """Paths of the training photos, if they are a sample."""
        photos = self.photos
        return [] if photos.taught_of is None else [row.path for row in photos.rows[Part.TRAIN]]

    def key(self) -> str:
        """The same, with what of the network is frozen and which views are drawn."""
        # Not epochs and learning rate, which do not change activations: a longer run reuses them.
        config = self.config
        return digest(self.views_key(), config.architecture, config.cut, config.seed)

    @property
    def draws(self) -> Draws:
        """Which views of which training photos are needed."""
        return Draws.of(self.config, len(self.photos.rows[Part.TRAIN]))

    def activations(self) -> tuple[Drawn, Callable[[], Activations]]:
        """Of the drawn views of the training part, and of view 0 of the validation part.

        Both are computed when they are needed. Caches of other settings are removed.
        """
        key, network, draws = self.key(), self.network, self.draws
        stem = Frozen.of(keras.Model(network.input, network.get_layer(self.config.cut).output))
        validation = Pairs.where(np.ones((len(self.photos.rows[Part.VAL]), 1), bool), "view 1")
        train = {_name(key, Part.TRAIN, piece) for piece in draws.pieces}
        keep_only(self.cache, {*train, _name(key, Part.VAL, validation)})
        of = partial(self._cached, key, stem)
        return Drawn(draws, partial(of, Part.TRAIN)), partial(of, Part.VAL, validation)

    def _cached(self, key: str, stem: Frozen, part: Part, pairs: Pairs) -> Activations:
        rows = [self.photos.rows[part][photo] for photo in pairs.photos]
        boxes = [self.photos.cuts.get(row.path) for row in rows]
        return cached(
            self.cache / _name(key, part, pairs),
            self.task(stem),
            list(zip(rows, boxes, pairs.views.tolist(), strict=True)),
            stem.output_shape,
            f"{part} photos, {pairs.title}",
        )

    def task(self, stem: Frozen) -> PhotoViews:
        """What gives the frozen part's output for a view of a photo."""
        config, files = self.config, self.photos.files
        return PhotoViews(
            stem, files, config.preprocessing, self.exchange, config.seed, config.robust
        )


def _name(key: str, part: Part, pairs: Pairs) -> str:
    which = digest(pairs.content) if pairs.views.any() else FIRST_VIEWS
    return f"{key}_{part}_{which}.f16"
