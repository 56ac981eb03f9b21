"""What `device.contract.orientation` promises: pictures of films are turned as they say."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from device.contract.orientation import UPRIGHT, Orientation, upright
from tests.support.pictures import picture


@dataclass
class Picture:
    key_frame: bool
    side_data: list[Any] = field(default_factory=list)


class Matrix(bytes):
    class type:
        name = "DISPLAYMATRIX"


def named(key_frame: bool, a: int, b: int, c: int, d: int) -> Picture:
    numbers = np.array([a, b, 0, c, d, 0, 0, 0, 1 << 30], np.int32)
    return Picture(key_frame, [Matrix(numbers.tobytes())])


def test_an_orientation_holds_until_a_whole_group_of_pictures_has_none() -> None:
    orientation = Orientation()
    turned = (0, 1, -1, 0)
    assert orientation.see(Picture(True)) == UPRIGHT
    assert orientation.see(named(False, *turned)) == turned
    assert orientation.see(Picture(True)) == turned
    assert orientation.see(Picture(False)) == turned
    assert orientation.see(Picture(True)) == UPRIGHT


def test_key_frames_alone_take_no_orientation_back() -> None:
    # A late stream is followed from key frame to key frame, past the pictures that have it.
    orientation = Orientation()
    turned = (0, 1, -1, 0)
    seen = [Picture(True), named(False, *turned), *[Picture(True)] * 3]
    assert [orientation.see(each) for each in seen] == [UPRIGHT, *[turned] * 4]


@pytest.mark.parametrize("degrees", [*range(0, 45, 15), *range(60, 135, 15), 180, 195, 255, 285])
@pytest.mark.parametrize("mirrored", [False, True])
def test_any_angle_is_taken_for_the_nearest_quarter(degrees: int, mirrored: bool) -> None:
    angle, one = np.deg2rad(degrees), 1 << 16
    a, b = round(one * np.cos(angle)), round(one * np.sin(angle))
    pixels = picture(0, 1, 12, 8)
    got = upright(pixels, (-a, -b, -b, a) if mirrored else (a, b, -b, a))
    first = pixels[:, ::-1] if mirrored else pixels
    # Clockwise, as x goes right and y down.
    np.testing.assert_array_equal(got, np.rot90(first, -round(degrees / 90)))
    assert got.flags.c_contiguous
