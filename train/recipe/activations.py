"""The frozen part's output for each view of the photos, cached: fine-tuning begins from it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import keras

from device.workstation.training import CUTS, EVENTS, SPLIT, Part
from train.data.augment import views_digest
from train.network.cache import Activations, Views, cached, groups, keep_only
from train.network.frozen import FROZEN_CODE, Frozen
from train.recipe.config import TrainConfig
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

    def activations(self) -> Mapping[Part, Views]:
        """The views of the training part, and of the validation part the first one alone.

        Caches of other settings are removed.
        """
        views = {Part.TRAIN: self.config.views, Part.VAL: 1}
        key, network = self.key(), self.network
        stem = Frozen.of(keras.Model(network.input, network.get_layer(self.config.cut).output))
        names = {_name(key, part, group) for part in views for group in groups(views[part])}
        keep_only(self.cache, names)
        return {
            part: Views(count, partial(self._cached, key, stem, part))
            for part, count in views.items()
        }

    def _cached(self, key: str, stem: Frozen, part: Part, numbers: range) -> Activations:
        return cached(
            self.cache / _name(key, part, numbers),
            self.task(stem, numbers),
            [(row, self.photos.cuts.get(row.path)) for row in self.photos.rows[part]],
            (len(numbers), *stem.output_shape),
            f"{part} photos, {shown(numbers)}",
        )

    def task(self, stem: Frozen, numbers: range) -> PhotoViews:
        """What gives the frozen part's output for some views of a photo."""
        config, files = self.config, self.photos.files
        settings = (config.preprocessing, self.exchange, numbers, config.seed, config.robust)
        return PhotoViews(stem, files, *settings)


def _name(key: str, part: Part, numbers: range) -> str:
    return f"{key}_{part}_{numbers.start}-{numbers.stop - 1}.f16"


def shown(numbers: range) -> str:
    """Which views, for a progress bar: they count from 1 there."""
    last = f" to {numbers.stop}" if len(numbers) > 1 else ""
    return f"view {numbers.start + 1}{last}"
