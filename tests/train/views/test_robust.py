"""Promises of views with faults of cameras: half of them, seeded, and none with `ROBUST=0`."""

import hashlib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from device.contract.arrays import Pixels
from device.contract.preprocess import Preprocessing
from device.workstation.faults.catalogue import FAULTS, frame_rules
from device.workstation.photo_files import PhotoFiles
from device.workstation.training import CUTS, EVENTS, SPLIT, Part
from tests.support.pictures import encoded, picture
from train.data.split import Row
from train.network.backbone import Architecture
from train.network.cache import Activations
from train.network.frozen import Frozen
from train.recipe.activations import Seen
from train.recipe.config import TrainConfig
from train.recipe.photos import Photos
from train.recipe.places import Exchange
from train.views.robust import TAUGHT, has_fault, with_fault

RULES = Preprocessing(height_px=96, width_px=96)
ROBUST = TrainConfig(architecture=Architecture(size_px=96), views=8)
PLAIN = replace(ROBUST, robust=False)


def seen(folder: Path, config: TrainConfig) -> Seen:
    """What a network would see of one photo."""
    data = encoded(picture(1, 1, 320, 240))
    (folder / "a.png").write_bytes(data)
    for name in (SPLIT, EVENTS, CUTS):
        (folder / name).write_bytes(b"")
    row = Row("a.png", "green", Part.TRAIN, hashlib.sha256(data).hexdigest(), "", "")
    photos = Photos(PhotoFiles(folder), ("green",), {Part.TRAIN: [row]}, {})
    network: Any = SimpleNamespace()
    return Seen(network, config, "", photos, Exchange(), folder, folder / "cache")


def views(folder: Path, config: TrainConfig) -> list[Pixels | Activations]:
    """The views of the photo, as the frozen part gets them."""
    of, stem = seen(folder, config), cast(Frozen, lambda pixels: pixels)
    task, row = of.task(stem), of.photos.rows[Part.TRAIN][0]
    return [task.of((row, None, number)) for number in range(config.views)]


def test_half_of_the_views_have_a_fault_and_the_others_are_as_without(tmp_path: Path) -> None:
    plain, robust = (views(tmp_path, config) for config in (PLAIN, ROBUST))
    changed = [(a != b).any() for a, b in zip(plain, robust, strict=True)]
    assert changed == [has_fault(number) for number in range(8)]
    assert sum(changed) == 4 and {view.shape for view in robust} == {RULES.shape}


@pytest.mark.parametrize("offered", [2, 4, 8, 64])
def test_whatever_an_epoch_draws_from_half_has_a_fault_and_view_0_has_none(offered: int) -> None:
    assert sum(map(has_fault, range(offered))) == offered // 2
    assert not has_fault(0)
    # Every second view exchanges the background: faults come with and without that.
    if offered >= 4:
        assert {number % 2 for number in range(offered) if has_fault(number)} == {0, 1}


def test_the_same_photo_and_number_give_the_same_view_again(tmp_path: Path) -> None:
    first, again = (views(tmp_path, ROBUST) for _ in range(2))
    assert all((a == b).all() for a, b in zip(first, again, strict=True))


def test_over_many_photos_every_fault_is_taught_but_the_stream() -> None:
    """The stream shows what becomes of a fault that was never taught."""
    assert {fault.name for fault in FAULTS} - {fault.name for fault in TAUGHT} == {"h264"}
    rules = frame_rules(RULES)
    frame = picture(0, 0, rules.width_px, rules.height_px)
    made = {with_fault(frame, RULES, 1, seed).tobytes() for seed in range(40)}
    assert len(made) >= 20
    greys = [np.frombuffer(view, np.uint8).reshape(RULES.shape) for view in made]
    assert any((view[..., 0] == view[..., 2]).all() for view in greys), "infrared is among them"


def test_caches_of_both_kinds_have_other_names(tmp_path: Path) -> None:
    assert seen(tmp_path, PLAIN).views_key() != seen(tmp_path, ROBUST).views_key()
