"""The body of an HTTP response, and its kind by its first bytes: headers are often wrong."""

import re
import time
from enum import Enum
from http.client import HTTPResponse

from device.errors import SourceError

READ_BYTES = 256 * 1024
FIRST_BYTES = 16
START_OF_JPEG = b"\xff\xd8"
_NO_TEXT = re.compile(rb"[\x00-\x08\x0e-\x1f]")
"""Every video has such bytes at its beginning."""
_BY_NAME = re.compile(rb"#EXTM3U|....ftyp", re.S)
"""Playlists, and videos whose reader must seek."""
_IMAGES = (b"\x89PNG", b"GIF8")


class Kind(Enum):
    """What a camera sends."""

    JPEG = "pictures without anything between them, perhaps one alone"
    PARTS = "pictures as parts of a multipart stream"
    FILM = "a stream for PyAV"
    ADDRESS = "what PyAV must open by its address"
    NONE = "no pictures"


class Body:
    """The bytes of a response as they come; the first ones can be read ahead."""

    def __init__(self, answer: HTTPResponse, limit_s: float) -> None:
        """Read nothing yet. No whole picture within `limit_s` is an error."""
        self._answer, self.limit_s = answer, limit_s
        self._kept = b""
        self._since_s = time.monotonic()

    def first(self) -> bytes:
        """The first bytes after any empty lines; `read` still returns them.

        Raises:
            SourceError: if they do not come.
        """
        while len(start := self._kept.lstrip(b"\r\n")) < FIRST_BYTES:
            data = self._answer.read1(READ_BYTES)
            if not data:
                break
            self._kept += data
            self.check()
        return start

    def read(self, most: int = READ_BYTES) -> bytes:
        """Wait for bytes and return those that came; none at the end."""
        if not self._kept:
            return self._answer.read1(most)
        data, self._kept = self._kept[:most], self._kept[most:]
        return data

    def restart_timer(self) -> None:
        """A whole picture came: the time limit for the next begins."""
        self._since_s = time.monotonic()

    def check(self) -> None:
        """Raise SourceError if no whole picture came for too long, even if bytes did."""
        # The socket's own limit does not catch a camera that sends byte by byte.
        if time.monotonic() - self._since_s > self.limit_s:
            raise SourceError(f"no picture for {self.limit_s:.3g} s")


class FilmReader:
    """Lets PyAV read a body."""

    def __init__(self, body: Body) -> None:
        self._body = body

    def read(self, most: int) -> bytes:
        """Read like a file."""
        data = self._body.read(most)
        self._body.check()
        return data


def kind_of(first: bytes, declared: str) -> Kind:
    """The kind of a body.

    Args:
        first: its first bytes.
        declared: its Content-Type without parameters, in lower case; empty if there is none.
    """
    if first.startswith(START_OF_JPEG):
        return Kind.JPEG
    if first.startswith(b"--") or declared.startswith("multipart/"):
        return Kind.PARTS
    if _BY_NAME.match(first) or "mpegurl" in declared:
        return Kind.ADDRESS
    is_text = _NO_TEXT.search(first) is None
    if is_text or first.startswith(_IMAGES) or declared.startswith("image/"):
        return Kind.NONE
    return Kind.FILM
