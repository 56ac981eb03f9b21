"""Cameras that send JPEG over HTTP: a stream of pictures, or one picture for each request.

The standard library and Pillow read them: PyAV, which other streams need, takes 19 MiB of memory.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPException, HTTPResponse

from device.camera.frame import EVERY_FRAME, Demand, Frame, FrameSource
from device.camera.http.body import START_OF_JPEG, Body, FilmReader, Kind, kind_of
from device.camera.http.client import HttpClient
from device.camera.http.multipart import MAX_PICTURE_BYTES, Parts, Pictures
from device.camera.pyav import NetworkStream
from device.contract import photos
from device.errors import PhotoError, SourceError
from device.settings.address import safe, shown
from device.settings.sections import CameraConfig

POLL_PAUSE_S = 0.25


@dataclass(frozen=True)
class HttpCamera(FrameSource):
    """A camera on the network that sends JPEG; anything else at its address goes to PyAV."""

    address: str = field(repr=False)
    """http or https, with user and password if the camera asks for them (Digest or Basic)."""
    config: CameraConfig
    demand: Demand = EVERY_FRAME
    live = True

    def frames(self) -> Iterator[Frame]:
        """Yield frames as they come; a damaged one as a frame with an error.

        Raises:
            SourceError: if it cannot be reached, stops sending, ends, or sends no pictures.
        """
        name = shown(self.address)
        with _problems_of(name):
            client = HttpClient(self.address, self.config.stall_limit_s)
            with client.open() as answer:
                body, declared = Body(answer, self.config.stall_limit_s), _declared(answer)
                kind = kind_of(body.first(), declared)
                if kind is Kind.NONE:
                    raise SourceError(f"it sends {declared or 'something'}, not pictures")
                if kind is Kind.PARTS:
                    yield from self._decoded(_streamed(body, Parts(_boundary(answer))), name)
                    raise SourceError("the stream ended")
                if kind is Kind.JPEG:
                    yield from self._decoded(self._single(body, client), name)
                if kind is Kind.FILM:
                    yield from self._film(body)
            yield from NetworkStream(self.address, self.config, self.demand).frames()

    def _decoded(self, pictures: Iterator[list[bytes]], name: str) -> Iterator[Frame]:
        """Decode only the newest of the waiting pictures: the others are out of date.

        One that comes before it is wanted is decoded when it is taken: by then a newer one may have
        come.
        """
        number = -1
        for waiting in pictures:
            number += len(waiting)
            decoder = partial(frame_of_jpeg, f"{name}#{number}", waiting[-1], len(waiting) - 1)
            now_s = time.monotonic()
            if self.demand.due_s > now_s:
                outdated = len(waiting) - 1
                yield Frame(
                    f"{name}#{number}", None, captured_s=now_s, outdated=outdated, decoder=decoder
                )
            else:
                yield decoder()

    def _film(self, body: Body) -> Iterator[Frame]:
        """Read a video over the same connection: some servers allow only one."""
        body.limit_s = self.config.open_limit_s
        stream = NetworkStream(self.address, self.config, self.demand, FilmReader(body))
        for frame in stream.frames():
            yield frame
            body.restart_timer()

    def _single(self, body: Body, client: HttpClient) -> Iterator[list[bytes]]:
        """One picture, then the next ones by further requests; or a stream of bare pictures."""
        pictures, count = Pictures(), 0
        for waiting in _streamed(body, pictures):
            yield waiting
            count += len(waiting)
        yield [pictures.rest()]
        if count:
            # Only the end of the body tells a single picture from a stream.
            raise SourceError("the stream ended")
        while True:
            time.sleep(max(POLL_PAUSE_S, 1 / self.config.fps))
            with client.open() as answer:
                data = answer.read(MAX_PICTURE_BYTES + 1)
            if len(data) > MAX_PICTURE_BYTES:
                raise SourceError(f"a picture has more than {MAX_PICTURE_BYTES // 2**20} MiB")
            yield [data]


def frame_of_jpeg(name: str, data: bytes, outdated: int = 0) -> Frame:
    """A frame from the bytes of a JPEG; with an error if they are not a JPEG."""
    started_s = time.perf_counter()
    picture, problem = None, ""
    try:
        data = data.lstrip(b"\r\n")
        if not data.startswith(START_OF_JPEG):
            raise PhotoError("not a JPEG")
        picture = photos.decode_lazily(data)
    except PhotoError as error:
        problem = f"damaged frame: {error}"
    decode_s = time.perf_counter() - started_s
    return Frame(name, picture, problem, time.monotonic(), decode_s, outdated)


def _declared(answer: HTTPResponse) -> str:
    """Its Content-Type; empty if it has none, where Python would return a default."""
    return answer.headers.get_content_type() if "Content-Type" in answer.headers else ""


def _boundary(answer: HTTPResponse) -> str:
    boundary = answer.headers.get_param("boundary", "")
    return boundary if isinstance(boundary, str) else ""


def _streamed(body: Body, splitter: Parts | Pictures) -> Iterator[list[bytes]]:
    while data := body.read():
        if pictures := splitter.feed(data):
            yield pictures
            body.restart_timer()
        else:
            body.check()


@contextmanager
def _problems_of(name: str) -> Iterator[None]:
    try:
        yield
    except (OSError, HTTPException, ValueError, SourceError) as error:
        reason = str(error).removeprefix(f"{name}: ") or type(error).__name__
        if isinstance(error, TimeoutError):
            reason = "it does not answer any more"
        raise SourceError(f"{name}: {safe(reason)}") from error
