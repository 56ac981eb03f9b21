"""Promises of backgrounds: what stands still is the background, whatever the light."""

import numpy as np
import pytest
from PIL import Image

from tests.support.visited_places import frame, ground
from train.views.backgrounds import background, light, lights, small, smoothed

GROUND = small(Image.fromarray(ground(0)))


def test_the_background_shows_what_stands_still_and_no_visitor_whatever_the_light() -> None:
    frames = [frame(0, i, light=0.6 + 0.05 * i) for i in range(12)]
    of_light = lights([small(each.image) for each in frames])
    made = background([each.pixels for each in frames], of_light)
    scale = ground(0).mean() / made.mean()
    assert np.abs(made * scale - ground(0)).mean() < 3
    assert made[..., 0].max() < 40
    assert of_light[-1] / of_light[0] == pytest.approx(1.15 / 0.6, rel=0.03)


def test_the_light_of_frames_that_are_alike_is_one() -> None:
    same = [small(frame(0, 1, visited=False).image)] * 8
    assert lights(same) == pytest.approx(1)


def test_the_light_of_a_frame_is_told_by_most_of_it() -> None:
    assert light(small(frame(0, 1, light=0.5).image), GROUND) == pytest.approx(0.5, abs=0.02)


def test_smoothing_is_the_mean_of_the_neighbours() -> None:
    values = np.random.default_rng(0).uniform(0, 9, (7, 9)).astype(np.float32)
    assert smoothed(values, 1)[3, 4] == pytest.approx(values[2:5, 3:6].mean())
    assert smoothed(values, 1)[0, 0] == pytest.approx(
        np.mean([values[max(0, y), max(0, x)] for y in (-1, 0, 1) for x in (-1, 0, 1)])
    )


def test_any_size_of_picture_will_do() -> None:
    for size in ((1, 1), (5, 700), (4000, 3)):
        assert small(Image.new("RGB", size)).shape == (72, 96, 3)
