"""What `device` promises of cameras that send JPEG over HTTP."""

import base64
import hashlib
import io
import re
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from cameras import jpeg
from helpers import encoded, picture
from hypothesis import example, given
from hypothesis import strategies as st
from load import Stopwatch
from PIL import Image

from device.config import CameraConfig
from device.errors import SourceError
from device.http_camera import HttpCamera, decode_frame
from device.multipart import MAX_HEAD_BYTES, MAX_PICTURE_BYTES, Parts
from device.preprocess import MAX_FRAME_PIXELS
from device.sources import Frame

QUICK = CameraConfig(stall_timeout_s=0.6, fps=100)
STREAM = "multipart/x-mixed-replace; boundary=frame"

# --- the parser ---------------------------------------------------------------------------------

bodies = st.lists(st.binary(min_size=1, max_size=80), max_size=6)
cuts = st.lists(st.integers(1, 40), min_size=1, max_size=20)


def pieces(data: bytes, sizes: list[int]) -> Iterator[bytes]:
    """The data, cut again and again by these sizes."""
    start = number = 0
    while start < len(data):
        end = start + sizes[number % len(sizes)]
        yield data[start:end]
        start, number = end, number + 1


def parse(data: bytes, sizes: list[int]) -> list[bytes]:
    parts = Parts()
    return [body for piece in pieces(data, sizes) for body in parts.feed(piece)]


def stream(
    bodies: list[bytes], line_end: bytes, *, length: bool, gap: bytes, boundary: str
) -> bytes:
    data = b""
    for body in bodies:
        lines = [boundary.encode(), b"Content-Type: image/jpeg"]
        if length:
            lines.append(b"content-LENGTH:%d" % len(body))
        data += line_end.join([*lines, b"", body]) + gap
    return data + boundary.encode() + b"--"


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


# --- the decoder --------------------------------------------------------------------------------


def test_a_frame_is_upright_and_has_its_colours() -> None:
    frame = decode_frame("camera#1", b"\r\n" + jpeg(0))
    assert frame.picture is not None and frame.error == "" and frame.decode_s > 0
    assert np.abs(frame.picture.astype(int) - picture(0, 1, 128, 96)).mean() < 6


@pytest.mark.parametrize("data", [b"", b"no picture", jpeg(0)[:500], encoded(picture(0, 1), "PNG")])
def test_what_is_no_whole_jpeg_is_a_damaged_frame(data: bytes) -> None:
    frame = decode_frame("camera#1", data)
    assert frame.picture is None and frame.error.startswith("damaged frame: ")


def test_a_frame_of_too_many_pixels_is_not_decoded() -> None:
    small = jpeg(0)
    at = small.index(b"\xff\xc0") + 5
    huge = small[:at] + b"\x20\x00\x20\x00" + small[at + 4 :]
    assert MAX_FRAME_PIXELS < 0x2000 * 0x2000
    frame = decode_frame("camera#1", huge)
    assert frame.picture is None and "more than" in frame.error


@pytest.mark.parametrize(
    ("width", "height", "scale"),
    [(4096, 2160, 1), (2974, 2974, 1), (4056, 3040, 2), (4096, 4096, 2), (5900, 5900, 2)],
)
def test_a_frame_above_4k_comes_at_its_decoder_s_half(width: int, height: int, scale: int) -> None:
    grey = np.linspace(0, 255, width, dtype=np.uint8)[np.newaxis].repeat(height, axis=0)
    data = encoded(Image.fromarray(grey), "JPEG")
    frame = decode_frame("camera#1", data)
    assert frame.picture is not None
    assert frame.picture.shape == (-(-height // scale), -(-width // scale), 3)
    assert frame.picture.size <= 3 * MAX_FRAME_PIXELS
    image = Image.open(io.BytesIO(data))
    image.draft(None, (width // scale, height // scale))
    np.testing.assert_array_equal(frame.picture, np.asarray(image.convert("RGB")))


# --- the connection -----------------------------------------------------------------------------

Answer = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def server(answer: Answer, context: ssl.SSLContext | None = None) -> Iterator[str]:
    """A server on loopback that gives this answer to every GET."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        http.daemon_threads = True
        if context:
            http.socket = context.wrap_socket(http.socket, server_side=True)
        threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True).start()
        scheme = "https" if context else "http"
        try:
            yield f"{scheme}://127.0.0.1:{http.server_address[1]}/camera"
        finally:
            http.shutdown()


def send(handler: BaseHTTPRequestHandler, kind: str, data: bytes, status: int = 200) -> None:
    handler.send_response(status)
    handler.send_header("Content-Type", kind)
    handler.end_headers()
    handler.wfile.write(data)


def parts(count: int) -> bytes:
    return stream([jpeg(0)] * count, b"\r\n", length=True, gap=b"\r\n", boundary="--frame")


def first(address: str, config: CameraConfig = QUICK) -> Frame:
    frames = HttpCamera(address, config).frames()
    frame = next(frames)
    frames.close()  # type: ignore[attr-defined]
    return frame


def test_of_pictures_that_came_together_the_newest_is_decoded() -> None:
    with server(lambda handler: send(handler, STREAM, parts(5))) as address:
        frames = []
        with pytest.raises(SourceError, match="the stream ended"):
            for frame in HttpCamera(address, QUICK).frames():
                frames.append(frame)
    assert sum(1 + frame.outdated for frame in frames) == 5 > len(frames)
    assert frames[-1].name.endswith("#4")


def test_an_address_of_single_pictures_is_asked_again_and_again() -> None:
    asked = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        asked.append(time.monotonic())
        send(handler, "image/jpeg", jpeg(len(asked) % 2))

    with server(answer) as address:
        frames = HttpCamera(address, QUICK).frames()
        pictures = [next(frames).picture for _ in range(3)]
    assert all(picture is not None for picture in pictures)
    assert not np.array_equal(pictures[0], pictures[1])
    assert asked[3] - asked[1] > 0.4, "a camera is not asked as fast as it can"


def test_a_chunked_stream_is_read() -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.protocol_version = "HTTP/1.1"
        handler.send_response(200)
        handler.send_header("Content-Type", STREAM)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for piece in pieces(parts(2), [700]):
            handler.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        handler.wfile.write(b"0\r\n\r\n")

    with server(answer) as address:
        assert first(address).picture is not None


def basic(handler: BaseHTTPRequestHandler) -> tuple[str, bool]:
    expected = "Basic " + base64.b64encode(b"gar den:s@cret").decode()
    return 'Basic realm="x"', handler.headers["Authorization"] == expected


def digest(handler: BaseHTTPRequestHandler) -> tuple[str, bool]:
    given = dict(re.findall(r'(\w+)="([^"]*)"', handler.headers["Authorization"] or ""))

    def md5(text: str) -> str:
        return hashlib.md5(text.encode()).hexdigest()

    secret = md5("gar den:x:s@cret") + ":n:" + md5("GET:/camera")
    return 'Digest realm="x", nonce="n"', given.get("response") == md5(secret)


@pytest.mark.parametrize("check", [basic, digest])
def test_user_and_password_of_the_address_are_given_when_asked_for(
    check: Callable[[BaseHTTPRequestHandler], tuple[str, bool]],
) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        demand, allowed = check(handler)
        if allowed:
            return send(handler, STREAM, parts(2))
        handler.send_response(401)
        handler.send_header("WWW-Authenticate", demand)
        handler.end_headers()

    with server(answer) as address:
        assert first(address.replace("//", "//gar%20den:s%40cret@")).picture is not None
        with pytest.raises(SourceError, match="401") as raised:
            first(address.replace("//", "//gar%20den:wrong@"))
        assert "wrong" not in str(raised.value)
        with pytest.raises(SourceError, match="401"):
            first(address)


def test_another_host_that_an_answer_sends_us_to_never_sees_the_password() -> None:
    asked = []

    def other(handler: BaseHTTPRequestHandler) -> None:
        asked.append(handler.headers["Authorization"])
        handler.send_response(401)
        handler.send_header("WWW-Authenticate", 'Basic realm="x"')
        handler.end_headers()

    with server(other) as elsewhere:

        def answer(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(302)
            handler.send_header("Location", elsewhere)
            handler.end_headers()

        with server(answer) as address, pytest.raises(SourceError, match="401"):
            first(address.replace("//", "//user:secret@"))
    assert asked == [None]


def test_https_with_the_camera_s_own_certificate_is_read(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key", tmp_path / "certificate"
    made = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=camera", "-days", "2"]
    try:
        command = ["openssl", *made, "-keyout", key, "-out", certificate]
        subprocess.run(command, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("no openssl here to make a certificate with")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with server(lambda handler: send(handler, STREAM, parts(2)), context) as address:
        assert first(address).picture is not None


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [(404, "text/html", "404"), (200, "text/html", "it sends text/html, no pictures")],
)
def test_an_address_without_pictures_is_one_line(status: int, kind: str, words: str) -> None:
    with (
        server(lambda handler: send(handler, kind, b"hello", status)) as address,
        pytest.raises(SourceError, match=words) as raised,
    ):
        first(address)
    assert "\n" not in str(raised.value) and address in str(raised.value)


@pytest.mark.parametrize("address", ["http://", "http://host:port/", "http://[/", "http://\n/"])
def test_an_address_that_is_none_is_one_line(address: str) -> None:
    with pytest.raises(SourceError):
        first(address)


def test_other_streams_over_http_are_pyav_s(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    film = tmp_path / "film.ts"
    with av.open(str(film), "w") as container:
        video = container.add_stream("mpeg2video", rate=25)
        video.width, video.height = 128, 96
        for _ in range(50):
            shown = av.VideoFrame.from_ndarray(picture(0, 1, 128, 96), format="rgb24")
            container.mux(video.encode(shown))
        container.mux(video.encode())
    with server(lambda handler: send(handler, "video/mp2t", film.read_bytes())) as address:
        assert first(address, replace(QUICK, stall_timeout_s=5)).picture is not None


def test_a_camera_that_sends_byte_by_byte_counts_as_stalled() -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        send(handler, STREAM, b"--frame\r\n\r\n")
        for _ in range(100):
            handler.wfile.write(b"x")
            time.sleep(0.05)

    with server(answer) as address, pytest.raises(SourceError, match=r"no picture for 0\.6 s"):
        first(address)


def test_a_camera_that_falls_silent_is_given_up() -> None:
    silent = threading.Event()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        send(handler, STREAM, parts(1))
        silent.wait(5)

    with server(answer) as address:
        frames = HttpCamera(address, QUICK).frames()
        next(frames)
        watch = Stopwatch()
        with pytest.raises(SourceError, match="does not answer any more"):
            next(frames)
        assert watch.fair_s < 3
        silent.set()
