"""What `device` promises of multipart streams, as cameras send MJPEG."""

import io
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from device.camera.http.multipart import MAX_HEAD_BYTES, MAX_PICTURE_BYTES, Parts, Pictures
from device.errors import SourceError
from tests.support.peers.cameras import jpeg
from tests.support.peers.http_servers import pieces, stream
from tests.support.pictures import encoded

bodies = st.lists(st.binary(min_size=1, max_size=80), max_size=6)
cuts = st.lists(st.integers(1, 40), min_size=1, max_size=20)


def parse(data: bytes, sizes: list[int]) -> list[bytes]:
    parts = Parts()
    return [body for piece in pieces(data, sizes) for body in parts.feed(piece)]


@given(
    bodies,
    cuts,
    st.sampled_from([b"\r\n", b"\n"]),
    st.sampled_from([b"", b"\n", b"\r\n", b"\r\n\r\n"]),
    st.sampled_from(["--frame", "----frame", "--a b", "--=_0.5"]),
)
@example([b"\n--frame\n\n", b"--frame"], [1], b"\r\n", b"", "--frame")
def test_bodies_of_a_stated_length_come_out_as_they_went_in(
    bodies: list[bytes], sizes: list[int], line_end: bytes, gap: bytes, boundary: str
) -> None:
    data = stream(bodies, line_end, length=True, gap=gap, boundary=boundary)
    assert parse(data, sizes) == bodies
    assert parse(b"HTTP cameras\r\nsay hello" + b"\r\n" + data, sizes) == bodies


@given(bodies, cuts, st.sampled_from([b"\r\n", b"\n"]))
def test_without_a_length_a_body_ends_at_the_next_boundary(
    bodies: list[bytes], sizes: list[int], line_end: bytes
) -> None:
    # As a JPEG, a body neither ends with the end of a line nor contains a boundary.
    bodies = [re.sub(rb"-", b"+", body) + b"\xd9" for body in bodies]
    data = stream(bodies, line_end, length=False, gap=line_end, boundary="--frame")
    assert parse(data, sizes) == bodies


@given(st.binary(max_size=50), st.integers(0, 49), cuts)
def test_after_a_wrong_length_the_next_part_but_one_is_whole_again(
    body: bytes, stated: int, sizes: list[int]
) -> None:
    body = re.sub(rb"[-\n]", b"+", body)
    wrong = b"--frame\r\nContent-Length: %d\r\n\r\n%b\r\n" % (stated, body)
    right = stream([b"first", b"second"], b"\r\n", length=True, gap=b"\r\n", boundary="--frame")
    assert parse(wrong + right, sizes)[-1] == b"second"


@given(
    st.lists(st.binary(max_size=200) | st.sampled_from([b"\n--a\n\n", b"\r\n\r\n", b"--"])), cuts
)
def test_no_bytes_make_the_parser_fail_or_keep_much(data: list[bytes], sizes: list[int]) -> None:
    assert sum(map(len, parse(b"".join(data), sizes))) <= sum(map(len, data))


@pytest.mark.parametrize(
    ("head", "body"),
    [
        (b"--frame\r\nX: ", b"x" * 1000),
        (b"--frame\r\n", b"X: y\r\n" * 200),
        (b"--frame\r\n\r\n", b"x" * 1_000_000),
        (b"--frame\r\nContent-Length: 99999999999\r\n\r\n", b"x"),
    ],
)
def test_a_part_without_end_is_refused_at_a_limit(head: bytes, body: bytes) -> None:
    parts = Parts()
    parts.feed(head[:-1])
    with pytest.raises(SourceError, match="has more than"):
        parts.feed(head[-1:])
        for _ in range((MAX_HEAD_BYTES + MAX_PICTURE_BYTES) // len(body) + 2):
            parts.feed(body)


def test_what_stands_before_the_first_boundary_is_not_kept() -> None:
    parts = Parts()
    for _ in range(2 * MAX_PICTURE_BYTES // 1_000_000):
        assert parts.feed(b"x" * 1_000_000) == []
    assert parts.feed(b"\n--frame\nContent-Length: 3\n\nabc") == [b"abc"]


@given(bodies, cuts, st.sampled_from(["frame", "my boundary", "7b3cc56e5f51db803f790dad720ed50a"]))
def test_boundaries_without_dashes_are_those_that_the_header_declares(
    bodies: list[bytes], sizes: list[int], boundary: str
) -> None:
    bodies = [body + b"\xd9" for body in bodies]
    data = stream(bodies, b"\r\n", length=True, gap=b"\r\n", boundary=boundary)
    for start in (b"", b"\r\n", b"hello\r\n"):
        parts = Parts(boundary)
        assert [b for piece in pieces(start + data, sizes) for b in parts.feed(piece)] == bodies


@given(bodies, cuts, st.sampled_from(["frame", "--frame", "x"]))
def test_a_declared_boundary_that_is_not_the_stream_s_does_no_harm(
    bodies: list[bytes], sizes: list[int], declared: str
) -> None:
    data = stream(bodies, b"\r\n", length=True, gap=b"\r\n", boundary="--frame")
    parts = Parts(declared)
    assert [body for piece in pieces(data, sizes) for body in parts.feed(piece)] == bodies


def with_thumbnail() -> bytes:
    image = Image.open(io.BytesIO(jpeg(0)))
    exif = image.getexif().tobytes() + jpeg(1, 16, 16)
    return encoded(image, "JPEG", exif=exif)


GAPS = (b"", b"\r\n", b"\r\n--frame\r\nContent-Type: image/jpeg\r\n\r\n")


@given(st.sampled_from(GAPS), cuts, st.integers(1, 4))
def test_pictures_with_nothing_between_them_come_out_as_they_went_in(
    gap: bytes, sizes: list[int], count: int
) -> None:
    sent, sizes = [with_thumbnail(), jpeg(2), jpeg(1)] * count, [97 * size for size in sizes]
    pictures = Pictures()
    got = [b for piece in pieces(gap.join(sent), sizes) for b in pictures.feed(piece)]
    assert [*got, pictures.rest()] == sent


def test_a_picture_without_end_is_refused_at_a_limit() -> None:
    pictures = Pictures()
    with pytest.raises(SourceError, match="has more than"):
        for _ in range(MAX_PICTURE_BYTES // 1_000_000 + 2):
            pictures.feed(b"\xff\xd8" + bytes(1_000_000))
