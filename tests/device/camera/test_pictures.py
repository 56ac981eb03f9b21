"""What `device.camera.pictures` promises of packets and orientations, without a camera."""

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.camera.pictures import UPRIGHT, Orientation, join_slices, upright
from tests.support.pictures import picture

SPS, IDR, SLICE = b"\0\0\0\1\x67a", b"\0\0\0\1\x65b", b"\0\0\0\1\x41c"


def packet(data: bytes, dts: int | None, *, is_key: bool) -> Any:
    made = av.Packet(data)
    made.pts = made.dts = dts
    made.is_keyframe, made.time_base = is_key, Fraction(1, 90_000)
    return made


def pieces(count: int, start: int | None, dts: int) -> list[Any]:
    """A key frame in as many pieces; FFmpeg knows no time for a stream's first packet."""
    times = [start, *[dts] * (count - 1)]
    return [packet(SPS + IDR, time, is_key=True) for time in times]


@given(
    groups=st.lists(st.tuples(st.integers(2, 8), st.integers(0, 4)), min_size=1, max_size=5),
    codec=st.sampled_from(["h264", "mpeg4"]),
)
def test_pieces_of_one_moment_become_one_packet_and_no_byte_is_lost(
    groups: list[tuple[int, int]], codec: str
) -> None:
    packets, expected, dts = [], [], 0
    for index, (count, others) in enumerate(groups):
        packets += pieces(count, None if index == 0 else dts, dts)
        expected.append(SPS + IDR) if codec == "mpeg4" else expected.append((SPS + IDR) * count)
        if codec == "mpeg4":
            expected += [SPS + IDR] * (count - 1)
        for _ in range(others):
            dts += 3600
            packets.append(packet(SLICE, dts, is_key=False))
            expected.append(SLICE)
        dts += 3600
    got = list(join_slices(av, packets, codec))
    assert [bytes(p) for p in got] == expected


@given(st.lists(st.booleans(), min_size=1, max_size=30))
def test_whole_pictures_pass_as_they_are_and_soon_at_once(keys: list[bool]) -> None:
    numbers = enumerate([True, *keys])
    packets = [packet(SPS + IDR if k else SLICE, n * 3600, is_key=k) for n, k in numbers]
    taken: list[Any] = []

    def source() -> Any:
        for number, each in enumerate(packets):
            if number > 2:
                assert taken[-1] is packets[number - 1], "the one before is through already"
            yield each

    for each in join_slices(av, source(), "h264"):
        taken.append(each)
    assert [id(p) for p in taken] == [id(p) for p in packets]


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
