"""What a camera sends is known by its bytes, whatever its header says, over one connection."""

import io
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler

import pytest

from device.camera.http.body import Kind, kind_of
from device.camera.http.camera import HttpCamera
from device.errors import SourceError
from tests.support.peers.cameras import jpeg
from tests.support.peers.http_servers import QUICK, first, parts, send, server, stream
from tests.support.peers.password_camera import SHA, Guarded, login
from tests.support.pictures import picture

PATIENT = replace(QUICK, stall_timeout_s=5)
MJPEG = stream([jpeg(0)] * 3, b"\r\n", length=True, gap=b"\r\n", boundary="--frame")
BARE_PARTS = stream([jpeg(0)] * 3, b"\n", length=False, gap=b"\n", boundary="frame")


def film(kind: str) -> bytes:
    """Two seconds of a film."""
    av = pytest.importorskip("av")
    file = io.BytesIO()
    with av.open(file, "w", format=kind) as container:
        video = container.add_stream("flv1" if kind == "flv" else "mpeg4", rate=25)
        video.width, video.height = 128, 96
        for _ in range(50):
            shown = av.VideoFrame.from_ndarray(picture(0, 1, 128, 96), format="rgb24")
            container.mux(video.encode(shown))
        container.mux(video.encode())
    return file.getvalue()


@contextmanager
def one_connection(kind: str, data: bytes) -> Iterator[str]:
    """A server that takes one connection in its life, as `ffmpeg -listen 1` does."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            link = listener.accept()[0]
            listener.close()
            with link, suppress(OSError):
                head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
                head += f"Content-Type: {kind}\r\n" * bool(kind)
                link.recv(65536)
                link.sendall(f"{head}\r\n".encode())
                for start in range(0, len(data), 5000):
                    piece = data[start : start + 5000]
                    link.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
                    time.sleep(0.01)
                link.sendall(b"0\r\n\r\n")

        port = listener.getsockname()[1]
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{port}/"
        thread.join(5)


@pytest.mark.parametrize(
    "kind",
    [
        "",
        "text/plain",
        "text/html",
        "application/octet-stream",
        'image/jpeg; charset="UTF-8"',
        "image/png",
        "IMAGE/JPG",
        "video/mp4",
        "nonsense",
        "multipart/x-mixed-replace; boundary=ipcam264",
        "multipart/x-mixed-replace",
    ],
)
def test_a_picture_and_a_stream_are_known_by_their_bytes_not_by_their_type(kind: str) -> None:
    for data in (jpeg(0), b"\r\n" + jpeg(0), MJPEG, b"\r\n" + MJPEG, b"".join([jpeg(0)] * 3)):
        with one_connection(kind, data) as address:
            assert first(address).picture is not None


@pytest.mark.parametrize(
    "boundary", ["frame", '"frame"', "--frame", '"--frame"', "", "other", "f r a m e"]
)
def test_a_boundary_may_be_declared_in_any_way(boundary: str) -> None:
    kind = f"multipart/x-mixed-replace; boundary={boundary}"
    for data in (MJPEG, MJPEG.replace(b"--frame", b"----frame"), parts(3)):
        with server(partial(send, kind=kind, data=data)) as address:
            assert first(address).picture is not None


@pytest.mark.parametrize("kind", ["multipart/mixed;boundary=frame", 'multipart/x;boundary="frame"'])
def test_parts_without_dashes_and_lengths_are_read(kind: str) -> None:
    with server(lambda handler: send(handler, kind, BARE_PARTS)) as address:
        assert first(address).picture is not None


def test_bare_pictures_one_after_the_other_are_a_stream() -> None:
    with one_connection("video/x-motion-jpeg", b"".join(map(jpeg, [0, 1, 2] * 5))) as address:
        frames = []
        with pytest.raises(SourceError, match="the stream ended"):
            for frame in HttpCamera(address, QUICK).frames():
                frames.append(frame)
    assert sum(1 + frame.outdated for frame in frames) == 15
    assert all(frame.picture is not None for frame in frames)


@pytest.mark.parametrize("kind", ["", "application/octet-stream", "text/plain", "video/x"])
@pytest.mark.parametrize("sent", ["mpegts", "matroska", "flv", "mpjpeg"])
def test_a_server_with_one_connection_is_not_asked_twice(sent: str, kind: str) -> None:
    data = MJPEG if sent == "mpjpeg" else film(sent)
    with one_connection(kind, data) as address:
        assert first(address, PATIENT).picture is not None


def test_a_film_behind_a_password_that_ffmpeg_cannot_give_is_read() -> None:
    camera = Guarded(challenges=(SHA,))
    data = film("mpegts")

    def answer(handler: BaseHTTPRequestHandler) -> None:
        header = handler.headers.get("Authorization", "")
        if camera._check(header, handler.path):
            return send(handler, "video/mp2t", data)
        camera(handler)

    with server(answer) as address:
        assert first(login(address), PATIENT).picture is not None


def test_a_film_that_falls_silent_is_given_up() -> None:
    silent = threading.Event()
    data = film("mpegts")

    def answer(handler: BaseHTTPRequestHandler) -> None:
        send(handler, "video/mp2t", data)
        silent.wait(20)

    with server(answer) as address, pytest.raises(SourceError, match=r"no frame|not answer"):
        for _ in HttpCamera(address, replace(QUICK, stall_timeout_s=1)).frames():
            pass
    silent.set()


@pytest.mark.parametrize(
    ("data", "declared", "kind"),
    [
        (b"\xff\xd8\xff\xe0", "text/html", Kind.JPEG),
        (b"--frame\r\n", "", Kind.PARTS),
        (b"hello", "multipart/x-mixed-replace", Kind.PARTS),
        (b"\x47\x40\x00", "", Kind.FILM),
        (b"FLV\x01\x05", "text/plain", Kind.FILM),
        (b"\x1aE\xdf\xa3", "text/html", Kind.FILM),
        (b"\x00\x00\x00\x01", "", Kind.FILM),
        (b"#EXTM3U\n#EXT-X", "text/plain", Kind.ADDRESS),
        (b"\x00\x00\x00\x1cftypisom", "", Kind.ADDRESS),
        (b"<!DOCTYPE html>", "", Kind.NONE),
        (b"<html>", "text/html", Kind.NONE),
        (b'{"error": 1}', "application/json", Kind.NONE),
        (b"Unauthorized", "", Kind.NONE),
        (b"\x89PNG\r\n", "image/png", Kind.NONE),
        (b"", "image/jpeg", Kind.NONE),
        (b"", "", Kind.NONE),
    ],
)
def test_first_bytes_say_what_it_is(data: bytes, declared: str, kind: Kind) -> None:
    assert kind_of(data, declared) is kind


@pytest.mark.parametrize("kind", ["", "image/jpeg", "text/html", "video/mp4"])
def test_an_answer_without_a_body_is_one_line(kind: str) -> None:
    with (
        server(lambda handler: send(handler, kind, b"")) as address,
        pytest.raises(SourceError, match="not pictures"),
    ):
        first(address)
