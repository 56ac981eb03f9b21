"""Pictures of several cameras are told apart by what stands still in them."""

import random

import numpy as np
import pytest

from device.contract.arrays import Pixels
from device.contract.look import cameras
from device.contract.look.cells import Cells, Grid
from device.contract.look.rules import LookRules
from tests.support import visited_places
from tests.support.films import GREY
from tests.support.visited_places import SIZE_PX

RULES = LookRules()
GRID = Grid.of(*SIZE_PX, RULES)


def photos(place: int, count: int, first: int = 0) -> list[Cells]:
    """Visits in light that changes."""
    light = np.random.default_rng([place, first]).uniform(0.6, 1.15, count)
    shots = [
        visited_places.frame(place, first + number, light=float(light[number])).pixels
        for number in range(count)
    ]
    return [GRID.cells(pixels) for pixels in shots]


def at_night(pixels: Pixels) -> Pixels:
    grey = pixels.astype(np.float32) @ GREY[:, None]
    return np.repeat(grey, 3, axis=2).astype(np.uint8)


def shuffled(groups: list[list[Cells]]) -> tuple[list[Cells], list[int]]:
    labelled = [(picture, number) for number, group in enumerate(groups) for picture in group]
    random.Random(3).shuffle(labelled)
    return [picture for picture, _ in labelled], [number for _, number in labelled]


def test_cameras_are_told_apart_however_their_photos_are_mixed() -> None:
    pictures, of = shuffled([photos(place, count) for place, count in ((1, 30), (2, 9), (3, 14))])
    found = cameras.of_one_camera(pictures, RULES)
    assert sorted(found) == sorted([i for i, own in enumerate(of) if own == n] for n in range(3))


def test_photos_by_hand_and_cameras_with_too_few_photos_are_in_no_group() -> None:
    by_hand = [photos(100 + number, 1)[0] for number in range(60)]
    few, camera = photos(1, cameras.LEAST_PICTURES - 1), photos(2, cameras.LEAST_PICTURES)
    pictures, of = shuffled([by_hand, few, camera])
    assert cameras.of_one_camera(pictures, RULES) == [[i for i, own in enumerate(of) if own == 2]]
    assert cameras.of_one_camera(by_hand, RULES) == cameras.of_one_camera([], RULES) == []


def test_a_camera_among_many_more_photos_than_a_sample_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cameras, "SAMPLE", 16)
    pictures, of = shuffled([photos(1, 60), photos(2, 12)])
    found = cameras.of_one_camera(pictures, RULES)
    assert sorted(map(len, found)) == [12, 60]
    assert all(len({of[i] for i in members}) == 1 for members in found)


def test_day_and_night_of_one_camera_have_a_background_each() -> None:
    frames = [visited_places.frame(1, number).pixels for number in range(24)]
    pictures = [
        GRID.cells(at_night(frame) if number % 2 else frame) for number, frame in enumerate(frames)
    ]
    assert cameras.of_one_camera(pictures, RULES) == [[*range(0, 24, 2)], [*range(1, 24, 2)]]


def test_a_wall_without_edges_is_a_place_too() -> None:
    rng = np.random.default_rng(5)
    pictures = []
    for number in range(20):
        shown = visited_places.frame(1, number)
        wall = np.where(shown.disc[..., None], (230, 20, 20), (120, 130, 110))
        noisy = wall * rng.uniform(0.7, 1.1) + rng.normal(0, 3, wall.shape)
        pictures.append(GRID.cells(noisy.clip(0, 255).astype(np.uint8)))
    assert cameras.of_one_camera(pictures, RULES) == [[*range(20)]]


@pytest.mark.parametrize("size_px", [(1, 1), (3, 200), (50, 2)])
def test_pictures_of_one_colour_or_of_hardly_a_cell_are_no_trouble(
    size_px: tuple[int, int],
) -> None:
    grid = Grid.of(*size_px, RULES)
    for value in (0, 255):
        frame = np.full((size_px[1], size_px[0], 3), value, np.uint8)
        found = cameras.of_one_camera([grid.cells(frame)] * 12, RULES)
        assert found in ([], [[*range(12)]])
