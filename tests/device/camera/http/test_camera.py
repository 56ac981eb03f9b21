"""What `device` promises of cameras that send JPEG over HTTP."""

import io
import ssl
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from device.camera.http.camera import HttpCamera, frame_of_jpeg
from device.contract.photos import MAX_FRAME_PIXELS
from device.errors import SourceError
from tests.support.peers.cameras import jpeg
from tests.support.peers.http_servers import QUICK, STREAM, first, parts, pieces, send, server
from tests.support.pictures import encoded, picture
from tests.support.timing import Stopwatch

# --- the decoder --------------------------------------------------------------------------------


def test_a_frame_is_upright_and_has_its_colours() -> None:
    frame = frame_of_jpeg("camera#1", b"\r\n" + jpeg(0))
    assert frame.picture is not None and frame.error == "" and frame.decode_s > 0
    assert np.abs(frame.picture.astype(int) - picture(0, 1, 128, 96)).mean() < 6


@pytest.mark.parametrize("data", [b"", b"no picture", jpeg(0)[:500], encoded(picture(0, 1), "PNG")])
def test_what_is_no_whole_jpeg_is_a_damaged_frame(data: bytes) -> None:
    frame = frame_of_jpeg("camera#1", data)
    assert frame.picture is None and frame.error.startswith("damaged frame: ")


def test_a_frame_of_too_many_pixels_is_not_decoded() -> None:
    small = jpeg(0)
    at = small.index(b"\xff\xc0") + 5
    huge = small[:at] + b"\x20\x00\x20\x00" + small[at + 4 :]
    assert MAX_FRAME_PIXELS < 0x2000 * 0x2000
    frame = frame_of_jpeg("camera#1", huge)
    assert frame.picture is None and "more than" in frame.error


@pytest.mark.parametrize(
    ("width", "height", "scale"),
    [(4096, 2160, 1), (2974, 2974, 1), (4056, 3040, 2), (4096, 4096, 2), (5900, 5900, 2)],
)
def test_a_frame_above_4k_comes_at_its_decoder_s_half(width: int, height: int, scale: int) -> None:
    grey = np.linspace(0, 255, width, dtype=np.uint8)[np.newaxis].repeat(height, axis=0)
    data = encoded(Image.fromarray(grey), "JPEG")
    frame = frame_of_jpeg("camera#1", data)
    assert frame.picture is not None
    assert frame.picture.shape == (-(-height // scale), -(-width // scale), 3)
    assert frame.picture.size <= 3 * MAX_FRAME_PIXELS
    image = Image.open(io.BytesIO(data))
    image.draft(None, (width // scale, height // scale))
    np.testing.assert_array_equal(frame.picture, np.asarray(image.convert("RGB")))


# --- the connection -----------------------------------------------------------------------------


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
        pictures = [each for _ in range(3) if (each := next(frames).picture) is not None]
    assert len(pictures) == 3
    assert not np.array_equal(pictures[0], pictures[1])
    assert asked[2] - asked[0] > 0.4, "a camera is not asked as fast as it can"


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


def test_https_with_the_camera_s_own_certificate_is_read(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key", tmp_path / "certificate"
    made = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=camera", "-days", "2"]
    try:
        command = ["openssl", *made, "-keyout", str(key), "-out", str(certificate)]
        subprocess.run(command, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("no openssl here to make a certificate with")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with server(lambda handler: send(handler, STREAM, parts(2)), context) as address:
        assert first(address).picture is not None


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [(404, "text/html", "404"), (200, "text/html", "it sends text/html, not pictures")],
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
