"""Views of photos before the backgrounds of other places, for what to expect at new places.

Training shows subjects before other backgrounds, so a classifier that tells what training gives at
new places must be shown such views, too. It is known of each which background it shows: while a
place is held out, its background is not shown either.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from device.contract.arrays import Box, Pixels
from device.contract.preprocess import Preprocessing
from device.workstation.photo_files import PhotoFiles
from device.workstation.training import Part
from train.curate.features import Backbone, picture_features
from train.data.augment import decoded
from train.data.listed import listed
from train.data.split import Row
from train.recipe.expected.held_out import Views
from train.recipe.photos import Photos
from train.recipe.places import Exchange, find_exchange
from train.stamps import code_digest
from train.views.exchange import Standing, exchanged

VIEWS = 2
"""Of each photo."""
CODE = (
    *(f"train/views/{name}.py" for name in ("backgrounds", "exchange")),
    *("train/recipe/places.py", "train/recipe/expected/place_views.py"),
    *("train/data/augment.py", "train/data/sight/sighting.py", "device/contract/look/*.py"),
)


def place_views(
    photos: Photos,
    rows: Sequence[Row],
    exchanging: Collection[str],
    backbone: Backbone,
    cache: Path,
    seed: int,
) -> Views | None:
    """Views of some photos, whatever their part; None if backgrounds are not exchanged.

    Args:
        photos: knows the events and places.
        rows: the photos.
        exchanging: the places that exchange backgrounds in training. Others may do so among all
            these photos, which are more: training did not show that, so it is not shown here.
        backbone: the network before it was trained.
        cache: folder for the features.
        seed: of what is drawn at random.

    Raises:
        DataError: if a photo is missing or has changed since it was scanned.
    """
    parts = {Part.TRAIN: rows, Part.VAL: (), Part.TEST: ()}
    exchange, _ = find_exchange(replace(photos, rows=parts), backbone.rules)
    known = set(exchanging) & set(exchange.places)
    if len(known) < 2:
        return None
    numbers, pictures, behind = [], [], []
    for number, row in enumerate(rows):
        own = photos.occasions[row.path].place
        others = [i for i, place in enumerate(exchange.places) if place in known - {own}]
        for view in range(VIEWS if own in known and row.path in exchange.standing else 0):
            seeds = (seed, view, int(row.sha256[:12], 16))
            chosen = others[int(np.random.default_rng(seeds).integers(len(others)))]
            numbers.append(number)
            behind.append(exchange.places[chosen])
            box = photos.cuts.get(row.path)
            pictures.append(
                _picture(photos.files, row, exchange, chosen, backbone.rules, seeds, box)
            )
    # Which frames a background is made of depends on their events, too.
    of_rows = (
        f"{row.sha256} {photos.occasions[row.path]} {photos.cuts.get(row.path)}" for row in rows
    )
    key = [code_digest(CODE), str(seed), *of_rows, *behind]
    features = picture_features(pictures, key, backbone, cache)
    return Views(np.array(numbers, np.int64), features, np.array(behind))


def _picture(
    files: PhotoFiles,
    row: Row,
    exchange: Exchange,
    chosen: int,
    rules: Preprocessing,
    seeds: Sequence[int],
    box: Box | None,
) -> Callable[[], Pixels]:
    backgrounds, standing = [exchange.backgrounds[chosen]], exchange.standing[row.path]
    return partial(_shown, files, row, rules, standing, backgrounds, seeds, box)


def _shown(
    files: PhotoFiles,
    row: Row,
    rules: Preprocessing,
    standing: Standing,
    backgrounds: Sequence[Pixels],
    seeds: Sequence[int],
    box: Box | None,
) -> Pixels:
    with listed(files, row.path, row.sha256) as data:
        return exchanged(decoded(data, rules, box), standing, backgrounds, rules, seeds, box)
