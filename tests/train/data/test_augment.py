"""Promises of views: the first is what the device sees, others repeat for the same seed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

from device.contract.photos import decode, load_box
from device.contract.preprocess import Preprocessing, prepare
from tests.support.pictures import encoded
from train.data import augment
from train.data.augment import SHIFT, SIDE_JITTER, STRETCH, decoded, moved, recoloured, view

RULES = Preprocessing(height_px=64, width_px=64)


def test_the_first_view_is_what_the_device_sees(photo: Image.Image) -> None:
    assert np.array_equal(view(photo, RULES, 0, 123), prepare(photo, RULES))


def test_views_differ_and_repeat(photo: Image.Image) -> None:
    views = [view(photo, RULES, number, 7) for number in range(6)]
    assert len({pixels.tobytes() for pixels in views}) == 6
    assert np.array_equal(view(photo, RULES, 3, 7), views[3])
    assert not np.array_equal(view(photo, RULES, 3, 8), views[3])


def test_the_first_view_of_a_cut_photo_is_the_box_as_the_device_sees_it(
    photo: Image.Image,
) -> None:
    data, box = encoded(photo), (31, 10, 91, 70)
    cut = decoded(data, RULES, box)
    assert np.array_equal(view(cut, RULES, 0, 5, box), load_box(data, box, RULES))
    assert decoded(data, RULES, None) == decode(data, RULES)
    views = [view(cut, RULES, number, 7, box) for number in range(6)]
    assert len({pixels.tobytes() for pixels in views}) == 6
    assert np.array_equal(view(cut, RULES, 3, 7, box), views[3])


@settings(deadline=None)
@given(st.integers(1, 400), st.integers(1, 400), st.integers(0, 2**32 - 1))
def test_a_moved_box_stays_in_the_picture_and_about_where_it_was(
    width: int, height: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    side = int(rng.integers(1, min(width, height) + 1))
    x, y = int(rng.integers(width - side + 1)), int(rng.integers(height - side + 1))
    left, upper, right, lower = moved(rng, (width, height), (x, y, x + side, y + side))
    assert 0 <= left < right <= width and 0 <= upper < lower <= height
    reach = side * (np.exp(SIDE_JITTER + STRETCH / 2) / 2 + SHIFT * np.exp(SIDE_JITTER)) + 1
    middle_x, middle_y = x + side / 2, y + side / 2
    assert middle_x - reach <= left and right <= middle_x + reach
    assert middle_y - reach <= upper and lower <= middle_y + reach


@pytest.mark.parametrize("size", [(1, 1), (2, 500), (500, 2), (3000, 2000), (64, 64)])
def test_a_picture_of_any_size_has_views(size: tuple[int, int]) -> None:
    for number in range(4):
        pixels = view(Image.new("RGB", size, "olive"), RULES, number, number)
        assert pixels.shape == (64, 64, 3) and pixels.dtype == np.uint8


def test_a_view_recolours_as_pillow_would_one_after_another(photo: Image.Image) -> None:
    grey = ImageEnhance.Contrast(photo).enhance(0.5)
    wanted = grey
    for enhance, factor in (
        (ImageEnhance.Brightness, 1.1),
        (ImageEnhance.Contrast, 0.85),
        (ImageEnhance.Color, 1.2),
    ):
        wanted = enhance(wanted).enhance(factor)
    found = recoloured(np.asarray(grey), 1.1, 0.85, 1.2)
    assert np.abs(found.astype(int) - np.asarray(wanted)).max() <= 3


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (448, 448)])
def test_the_mean_of_a_picture_is_numpys_to_the_bit(size: tuple[int, int]) -> None:
    """It is only quicker: another rounding would be another training."""
    pixels = np.random.default_rng(2).integers(0, 256, (*size, 3), np.uint8)
    assert augment._mean(pixels).tolist() == pixels.mean(axis=(0, 1)).tolist()
    assert augment._mean(np.full_like(pixels, 255)).tolist() == [255, 255, 255]


@pytest.fixture
def photo() -> Image.Image:
    coarse = np.random.default_rng(3).integers(0, 256, (9, 12, 3), np.uint8)
    return Image.fromarray(coarse).resize((120, 90))
