"""What `device.camera.pictures` promises of packets, without a camera."""

from fractions import Fraction
from typing import Any

import av
from hypothesis import given
from hypothesis import strategies as st

from device.camera.pictures import join_slices

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
