"""Promises of backgrounds: what stands still is the background, what differs is the subject."""

import numpy as np
import pytest
from PIL import Image

from tests.support.visited_places import SIZE_PX, Frame, frame, ground
from train.views.backgrounds import (
    MIN_FRAMES,
    SMALL_PX,
    Subject,
    background,
    difference,
    light,
    lights,
    small,
    smoothed,
    subject,
)

GROUND = small(Image.fromarray(ground(0)))


def found(frame: Frame) -> Subject | None:
    """The subject of a frame of place 0."""
    return subject(difference(small(frame.image), GROUND))


def truth(frame: Frame) -> np.ndarray:
    """Where the disc is, in small pixels."""
    return np.asarray(Image.fromarray(frame.disc).resize(SMALL_PX, Image.Resampling.BOX))


def test_the_background_shows_what_stands_still_and_no_visitor_whatever_the_light() -> None:
    frames = [frame(0, i, light=0.6 + 0.05 * i) for i in range(12)]
    of_light = lights([small(each.image) for each in frames])
    made = background([each.pixels for each in frames], of_light)
    scale = ground(0).mean() / made.mean()
    assert np.abs(made * scale - ground(0)).mean() < 3
    assert made[..., 0].max() < 40
    assert of_light[-1] / of_light[0] == pytest.approx(1.15 / 0.6, rel=0.03)


def test_the_light_of_frames_that_are_alike_is_one() -> None:
    same = [small(frame(0, 1, visited=False).image)] * MIN_FRAMES
    assert lights(same) == pytest.approx(1)


@pytest.mark.parametrize("number", range(8))
@pytest.mark.parametrize("brightness", [0.6, 1.0, 1.3])
def test_the_subject_is_what_visits_whatever_the_light(number: int, brightness: float) -> None:
    visited = frame(0, number, light=brightness)
    subject = found(visited)
    assert subject is not None
    disc = truth(visited)
    assert (subject.mask & disc).sum() / (subject.mask | disc).sum() > 0.7
    rows, columns = np.nonzero(visited.disc)
    centre = columns.mean() / SIZE_PX[0], rows.mean() / SIZE_PX[1]
    left, upper, right, lower = subject.box
    assert ((left + right) / 2, (upper + lower) / 2) == pytest.approx(centre, abs=0.03)


def test_light_alone_is_no_subject() -> None:
    assert found(frame(0, 1, light=0.5, visited=False)) is None
    assert light(small(frame(0, 1, light=0.5).image), GROUND) == pytest.approx(0.5, abs=0.02)


def test_a_frame_of_a_moved_camera_has_no_subject() -> None:
    assert all(found(frame(place, 1)) is None for place in range(1, 6))


def test_a_subject_that_fills_the_frame_is_none() -> None:
    near = np.full((SIZE_PX[1], SIZE_PX[0], 3), (230, 20, 20), np.uint8)
    near[:30] = ground(0)[:30]
    assert found(Frame(near, np.ones(near.shape[:2], bool))) is None


def test_changes_all_over_the_frame_are_no_subject() -> None:
    pixels = ground(0).copy()
    pixels[::48, ::48] = 255
    for y, x in ((10, 10), (130, 180), (20, 170), (120, 20), (70, 90)):
        pixels[y : y + 12, x : x + 12] = 255
    assert found(Frame(pixels, np.zeros(pixels.shape[:2], bool))) is None


def test_a_hole_in_a_subject_belongs_to_it() -> None:
    visited = frame(0, 3)
    rows, columns = np.nonzero(visited.disc)
    y, x = int(rows.mean()), int(columns.mean())
    holed = visited.pixels.copy()
    holed[y - 9 : y + 9, x - 9 : x + 9] = ground(0)[y - 9 : y + 9, x - 9 : x + 9]
    subject = found(Frame(holed, visited.disc))
    assert subject is not None
    assert subject.mask[y * SMALL_PX[1] // SIZE_PX[1], x * SMALL_PX[0] // SIZE_PX[0]]


def test_smoothing_is_the_mean_of_the_neighbours() -> None:
    values = np.random.default_rng(0).uniform(0, 9, (7, 9)).astype(np.float32)
    assert smoothed(values, 1)[3, 4] == pytest.approx(values[2:5, 3:6].mean())
    assert smoothed(values, 1)[0, 0] == pytest.approx(
        np.mean([values[max(0, y), max(0, x)] for y in (-1, 0, 1) for x in (-1, 0, 1)])
    )


def test_any_size_of_picture_will_do() -> None:
    for size in ((1, 1), (5, 700), (4000, 3)):
        assert small(Image.new("RGB", size)).shape == (72, 96, 3)
    flat = np.zeros((72, 96, 3), np.float32)
    assert subject(difference(flat, flat)) is None
