"""Cameras that send JPEG over HTTP: a stream of pictures, or one picture for each request.

The standard library and Pillow read them: PyAV, which other streams need, takes 19 MiB of memory.
"""

import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any
from urllib import request

from device import __version__, preprocess
from device.address import parse, safe, shown
from device.config import OPEN_TIMEOUT_S, CameraConfig
from device.errors import PhotoError, SourceError
from device.multipart import MAX_PICTURE_BYTES, Parts
from device.sources import ALWAYS, Demand, Frame
from device.streams import NetworkStream

STREAM = "multipart/x-mixed-replace"
PICTURES = ("image/jpeg", "image/jpg", "image/pjpeg")
FILMS = ("video/", "application/")
START_OF_JPEG = b"\xff\xd8"
POLL_PAUSE_S = 0.25
READ_BYTES = 256 * 1024


@dataclass(frozen=True)
class HttpCamera:
    """A camera on the network that sends JPEG; whatever else its address gives is PyAV's."""

    address: str = field(repr=False)
    """http or https, with user and password if the camera asks for them (Basic or Digest)."""
    config: CameraConfig
    demand: Demand = ALWAYS
    live = True
    hang_is_final = False

    def frames(self) -> Iterator[Frame]:
        """Yield frames as they come; a damaged one as a frame with an error.

        Raises:
            SourceError: if it cannot be reached, stops sending, ends, or sends no pictures.
        """
        name = shown(self.address)
        with _problems_of(name):
            with self._open() as answer:
                kind = answer.headers.get_content_type()
                if kind == STREAM:
                    pictures = _streamed(answer, self.config.stall_limit_s)
                    yield from _decoded(pictures, name)
                    raise SourceError("the stream ended")
            if kind in PICTURES:
                yield from _decoded(self._polled(), name)
            if not kind.startswith(FILMS):
                raise SourceError(f"it sends {kind}, no pictures")
        yield from NetworkStream(self.address, self.config, self.demand).frames()

    def _open(self) -> HTTPResponse:
        address = parse(self.address)
        origin = f"{address.scheme}://{address.host}:{address.port}"
        handlers: list[request.BaseHandler] = [
            _Connector(self.config.stall_limit_s),
            request.HTTPRedirectHandler(),
            request.HTTPErrorProcessor(),
            request.HTTPDefaultErrorHandler(),
            request.UnknownHandler(),
        ]
        if address.user is not None:
            passwords = request.HTTPPasswordMgrWithDefaultRealm()
            # For all of this host, but no other: an answer may send us elsewhere.
            user, password = address.user.decode(), address.password.decode()
            passwords.add_password(None, f"{origin}/", user, password)
            handlers.append(request.HTTPDigestAuthHandler(passwords))
            handlers.append(request.HTTPBasicAuthHandler(passwords))
        opener = request.OpenerDirector()
        for handler in handlers:
            opener.add_handler(handler)
        opener.addheaders = [("User-Agent", f"fieldguide/{__version__}")]
        answer: HTTPResponse = opener.open(origin + address.target, timeout=OPEN_TIMEOUT_S)
        return answer

    def _polled(self) -> Iterator[list[bytes]]:
        while True:
            with self._open() as answer:
                data = answer.read(MAX_PICTURE_BYTES + 1)
            if len(data) > MAX_PICTURE_BYTES:
                raise SourceError(f"a picture has more than {MAX_PICTURE_BYTES // 2**20} MiB")
            yield [data]
            time.sleep(max(POLL_PAUSE_S, 1 / self.config.fps))


def decode_frame(name: str, data: bytes, outdated: int = 0) -> Frame:
    """A frame of the bytes of a JPEG, or with an error if they are none."""
    started_s = time.perf_counter()
    picture, problem = None, ""
    try:
        data = data.lstrip(b"\r\n")
        if not data.startswith(START_OF_JPEG):
            raise PhotoError("no JPEG")
        picture = preprocess.decode_frame(data)
    except PhotoError as error:
        problem = f"damaged frame: {error}"
    decode_s = time.perf_counter() - started_s
    return Frame(name, picture, problem, time.monotonic(), decode_s, outdated)


def _decoded(pictures: Iterator[list[bytes]], name: str) -> Iterator[Frame]:
    """The newest picture each time: those that waited with it are out of date."""
    number = -1
    for waiting in pictures:
        number += len(waiting)
        yield decode_frame(f"{name}#{number}", waiting[-1], len(waiting) - 1)


def _streamed(answer: HTTPResponse, limit_s: float) -> Iterator[list[bytes]]:
    parts = Parts()
    last_s = time.monotonic()
    while data := answer.read1(READ_BYTES):
        if pictures := parts.feed(data):
            yield pictures
            last_s = time.monotonic()
        elif time.monotonic() - last_s > limit_s:
            # The socket's own limit does not see a camera that sends byte by byte.
            raise SourceError(f"no picture for {limit_s:g} s")


@contextmanager
def _problems_of(name: str) -> Iterator[None]:
    try:
        yield
    except (OSError, HTTPException, ValueError, SourceError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        if isinstance(error, TimeoutError):
            reason = "it does not answer any more"
        raise SourceError(f"{name}: {safe(reason)}") from error


class _Patience:
    """Other time limits for what follows an answer's header than for all before."""

    stall_timeout_s: float
    sock: Any

    def getresponse(self) -> HTTPResponse:
        # An answer may take the socket with it.
        sock = self.sock
        answer: HTTPResponse = super().getresponse()  # type: ignore[misc]
        sock.settimeout(self.stall_timeout_s)
        return answer


class _Connector(request.AbstractHTTPHandler):
    """Opens http and https addresses, without a proxy: cameras are near."""

    http_request = https_request = request.AbstractHTTPHandler.do_request_

    def __init__(self, stall_timeout_s: float) -> None:
        super().__init__()
        limit = {"stall_timeout_s": stall_timeout_s}
        self._plain: Any = type("Plain", (_Patience, HTTPConnection), limit)
        self._secure: Any = type("Secure", (_Patience, HTTPSConnection), limit)

    def http_open(self, wanted: request.Request) -> HTTPResponse:
        """Called by urllib."""
        return self.do_open(self._plain, wanted)

    def https_open(self, wanted: request.Request) -> HTTPResponse:
        """Called by urllib; certificates are not checked: those of cameras are their own."""
        trusting = ssl.create_default_context()
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        return self.do_open(self._secure, wanted, context=trusting)
