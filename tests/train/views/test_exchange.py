"""Promises of exchanged views: the subject stays, the background goes, seeds decide everything."""

from collections import Counter

import numpy as np
import pytest
from PIL import Image

from device.contract.arrays import Pixels
from device.contract.look.cells import Grid
from device.contract.look.place import look, of_pictures
from device.contract.look.rules import LookRules
from device.contract.preprocess import Preprocessing
from tests.support.visited_places import RADIUS_PX, SIZE_PX, Frame, frame, ground
from train.data.sight.sighting import sighting_of
from train.views.exchange import Standing, composite, exchanged, filled, soft

RULES = Preprocessing(height_px=96, width_px=96)
LOOK = LookRules()
GRID = Grid.of(*SIZE_PX, LOOK)
GROUND = of_pictures(
    [GRID.cells(frame(0, n, visited=False).pixels) for n in range(90, 98)], visited=True
)
WHITE = np.full((SIZE_PX[1], SIZE_PX[0], 3), 250, np.uint8)
PLACES = [ground(place) for place in range(3)]


def standing(frame: Frame) -> Standing:
    found = look(GRID.cells(frame.pixels), GROUND, LOOK)
    return Standing.of(sighting_of(found, GRID, GROUND, LOOK))


def views(backgrounds: list[Pixels], count: int = 24) -> list[Pixels]:
    """Views of one frame with a red disc at place 0."""
    visited = frame(0, 1)
    known = standing(visited)
    return [exchanged(visited.image, known, backgrounds, RULES, (7, n)) for n in range(count)]


def red(view: Pixels) -> np.ndarray:
    values = view.astype(int)
    return (values[..., 0] > 1.7 * values[..., 1]) & (values[..., 0] > 1.7 * values[..., 2])


def test_a_composite_keeps_the_subjects_pixels_and_changes_all_others() -> None:
    visited, known = frame(0, 1), standing(frame(0, 1))
    mask = np.asarray(Image.fromarray(soft(known.mask)).resize(SIZE_PX))
    made = composite(visited.pixels, WHITE, mask)
    assert (made[mask == 255] == visited.pixels[mask == 255]).all()
    assert (made[mask == 0] == 250).all()
    assert visited.disc[mask == 255].mean() > 0.95
    assert (mask[visited.disc] >= 128).mean() > 0.75


def test_every_view_shows_the_whole_subject_and_nothing_of_its_own_place() -> None:
    least = np.pi * RADIUS_PX**2 * (96 / SIZE_PX[1]) ** 2
    for view in views([WHITE]):
        # Before white: whatever is neither reddish nor grey is left of the place of the disc.
        spread = np.ptp(view.astype(int), axis=-1)
        reddish = view.argmax(axis=-1) == 0
        assert red(view).sum() > 0.75 * least
        assert ((spread > 40) & ~reddish).mean() < 0.02


def test_the_subject_may_stand_anywhere_and_the_background_varies() -> None:
    centres = np.array([np.argwhere(red(view)).mean(axis=0) for view in views(PLACES, 40)])
    assert (np.ptp(centres, axis=0) > 30).all()
    assert len({view.tobytes() for view in views([PLACES[0]], 40)}) == 40


def test_the_background_has_the_light_of_the_photo() -> None:
    dark, bright = (
        np.mean(
            [
                np.median(exchanged(each.image, standing(each), [ground(1)], RULES, (1, n)))
                for n in range(20)
            ]
        )
        for each in (frame(0, 1, light=0.5), frame(0, 1))
    )
    assert dark == pytest.approx(0.5 * bright, rel=0.1)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_another_view() -> None:
    once, again = views(PLACES, 6), views(PLACES, 6)
    assert [view.tobytes() for view in once] == [view.tobytes() for view in again]
    assert len({view.tobytes() for view in once}) == 6
    assert all(view.shape == RULES.shape and view.dtype == np.uint8 for view in once)


def test_every_place_is_behind_the_subject_equally_often_its_own_too() -> None:
    grey = [np.full((50, 60, 3), value, np.uint8) for value in (10, 90, 200)]
    seen = Counter(
        min((10, 90, 200), key=lambda v: abs(v - np.median(w))) for w in views(grey, 150)
    )
    assert min(seen.values()) / 150 == pytest.approx(1 / 3, abs=0.12)
    assert len(seen) == 3


@pytest.mark.parametrize("size", [(1, 1), (300, 20), (20, 300), (1000, 700)])
def test_photos_and_backgrounds_may_have_any_size(size: tuple[int, int]) -> None:
    mask = np.zeros((72, 96), bool)
    mask[60:, 80:] = True
    known = Standing(mask, (1.0, 0.9), (80 / 96, 60 / 72, 1, 0.9), 1.0)
    other = Image.new("RGB", size, (200, 0, 0))
    for n in range(10):
        for box in (None, (0, 0, size[0], size[1])):
            view = exchanged(other, known, [np.zeros((*size, 3), np.uint8)], RULES, (n,), box)
            assert view.shape == RULES.shape


def test_a_hole_in_a_subject_belongs_to_it() -> None:
    ring = np.zeros((9, 9), bool)
    ring[2:7, 2:7] = True
    ring[3:6, 3:6] = False
    assert filled(ring)[4, 4] and filled(ring).sum() == 25


def test_a_view_of_a_cut_photo_shows_about_what_a_device_would_cut() -> None:
    visited = frame(0, 1)
    known = standing(visited)
    rows, columns = np.nonzero(visited.disc)
    x, y, half = int(columns.mean()), int(rows.mean()), int(1.3 * RADIUS_PX)
    box = (x - half, y - half, x + half, y + half)
    share = visited.disc[box[1] : box[3], box[0] : box[2]].mean()
    for n in range(24):
        view = exchanged(visited.image, known, [WHITE], RULES, (7, n), box)
        assert 0.5 * share < red(view).mean() < 1.7 * share
