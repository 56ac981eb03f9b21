"""Views for what to expect at new places show backgrounds of other places, and say which."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image

from device.contract.arrays import Pixels
from device.workstation.training import Part
from tests.train.recipe.test_places import EVENTS, RULES, photos_at
from train.curate.features import Backbone
from train.network.backbone import Architecture
from train.recipe import fit, places
from train.recipe.config import TrainConfig
from train.recipe.expected import place_views
from train.recipe.expected.held_out import VIEW_WEIGHT, Views
from train.recipe.photos import Photos

BACKBONE = Backbone(Architecture(size_px=96), [], RULES)
PLACES = {"gate": EVENTS, "pond": EVENTS, "roof": EVENTS}


@pytest.fixture(autouse=True)
def mean_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures are made, and no network is run."""

    def features(pictures: Sequence[Callable[[], Pixels]], *_: Any) -> np.ndarray:
        return np.stack([picture().mean(axis=(0, 1)) for picture in pictures])

    monkeypatch.setattr(place_views, "picture_features", features)


def views_of(
    photos: Photos, folder: Path, seed: int = 0, exchanging: Sequence[str] = tuple(PLACES)
) -> Views | None:
    rows = [row for part in Part for row in photos.rows[part]]
    return place_views.place_views(photos, rows, exchanging, BACKBONE, folder, seed)


def test_every_photo_is_shown_before_backgrounds_of_other_places(tmp_path: Path) -> None:
    photos = photos_at(tmp_path, PLACES)
    views = views_of(photos, tmp_path)
    assert views is not None
    rows = photos.rows[Part.TRAIN]
    assert np.bincount(views.photos).tolist() == [place_views.VIEWS] * len(rows)
    own = [photos.occasions[rows[i].path].place for i in views.photos]
    assert set(views.behind.tolist()) == set(PLACES)
    assert not any(behind == place for behind, place in zip(views.behind, own, strict=True))
    assert len(np.unique(views.features, axis=0)) == len(views.photos)


def test_photos_that_judge_are_shown_so_too(tmp_path: Path) -> None:
    photos = photos_at(tmp_path, PLACES)
    rows = photos.rows[Part.TRAIN]
    parts = {Part.TRAIN: rows[::2], Part.VAL: (), Part.TEST: rows[1::2]}
    views = views_of(replace(photos, rows=parts), tmp_path)
    assert views is not None and len(set(views.photos.tolist())) == len(rows)


def test_views_weigh_as_much_beside_their_photo_as_in_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = photos_at(tmp_path, PLACES)
    exchange, _ = places.find_exchange(photos, RULES)
    row = photos.rows[Part.TRAIN][0]
    monkeypatch.setattr(places, "view", lambda *_: "plain")
    monkeypatch.setattr(places, "exchanged", lambda *_: "exchanged")
    image = Image.new("RGB", (8, 8))
    shown: list[object] = [
        exchange.view(image, row, RULES, n, 0) for n in range(TrainConfig().views)
    ]
    ratio = shown.count("exchanged") / shown.count("plain")
    assert ratio == place_views.VIEWS * VIEW_WEIGHT


def test_the_same_photos_and_seed_give_the_same_views(tmp_path: Path) -> None:
    photos = photos_at(tmp_path, PLACES)
    first, again, other = (views_of(photos, tmp_path, seed) for seed in (0, 0, 1))
    assert first is not None and again is not None and other is not None
    assert (first.features == again.features).all()
    assert not np.array_equal(first.features, other.features)


def test_where_training_exchanges_nothing_there_are_no_views(tmp_path: Path) -> None:
    assert views_of(photos_at(tmp_path, {"gate": EVENTS}), tmp_path) is None


def test_only_photos_of_places_that_training_exchanges_are_shown_so(tmp_path: Path) -> None:
    photos = photos_at(tmp_path, PLACES)
    views = views_of(photos, tmp_path, exchanging=("gate", "roof"))
    assert views is not None
    own = {photos.occasions[photos.rows[Part.TRAIN][i].path].place for i in views.photos}
    assert own == set(views.behind.tolist()) == {"gate", "roof"}
    for few in ((), ("gate",)):
        assert views_of(photos, tmp_path, exchanging=few) is None


def test_validation_and_test_photos_make_up_no_exchange_that_training_did_not_show(
    tmp_path: Path,
) -> None:
    photos = photos_at(tmp_path, PLACES)
    rows = photos.rows[Part.TRAIN]
    teaching = [row for row in rows if photos.occasions[row.path].event[-1] in "012"]
    judging = [row for row in rows if row not in teaching]
    photos = replace(photos, rows={Part.TRAIN: teaching, Part.VAL: (), Part.TEST: judging})
    exchange, _ = places.find_exchange(photos, RULES)
    assert not exchange.standing
    training = SimpleNamespace(
        photos=photos,
        exchange=exchange,
        cache=tmp_path,
        convolutions=[],
        config=TrainConfig(architecture=BACKBONE.architecture),
    )
    assert fit._Pictures(cast(Any, training)).views(rows) is None


def test_features_of_views_are_computed_again_when_events_or_boxes_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = []

    def remembered(pictures: Sequence[Any], key: Sequence[str], *_: Any) -> np.ndarray:
        keys.append(tuple(key))
        return np.zeros((len(pictures), 3), np.float32)

    monkeypatch.setattr(place_views, "picture_features", remembered)
    photos = photos_at(tmp_path, PLACES)
    first = photos.rows[Part.TRAIN][0].path
    alone = {**photos.occasions, first: replace(photos.occasions[first], event="of its own")}
    cut = {first: (0, 0, 50, 50)}
    for each in (photos, photos, replace(photos, occasions=alone), replace(photos, cuts=cut)):
        views_of(each, tmp_path)
    assert keys[0] == keys[1] and len(set(keys)) == 3
