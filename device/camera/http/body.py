"""The body of an HTTP answer, and what it is: by its first bytes, as cameras' headers often err."""

import re
import time
from enum import Enum
from http.client import HTTPResponse

from device.errors import SourceError

READ_BYTES = 256 * 1024
FIRST_BYTES = 16
START_OF_JPEG = b"\xff\xd8"
_NO_TEXT = re.compile(rb"[\x00-\x08\x0e-\x1f]")
"""Every film has such bytes at its beginning."""
_BY_NAME = re.compile(rb"#EXTM3U|....ftyp", re.S)
"""Lists of addresses, and films whose reader jumps about in them."""
_IMAGES = (b"\x89PNG", b"GIF8")


class Kind(Enum):
    """What a camera sends."""

    JPEG = "pictures without anything between them, perhaps one alone"
    PARTS = "pictures as parts of a multipart stream"
    FILM = "a stream for PyAV"
    ADDRESS = "what PyAV must open by its address"
    NONE = "no pictures"


class Body:
    """Bytes of an answer as they come, of which the first can be looked at beforehand."""

    def __init__(self, answer: HTTPResponse, limit_s: float) -> None:
        """Read nothing yet; nothing whole within `limit_s` is an error."""
        self._answer, self.limit_s = answer, limit_s
        self._kept = b""
        self._since_s = time.monotonic()

    def first(self) -> bytes:
        """The first bytes behind empty lines; they will be read all the same.

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
        """Bytes that are there, waited for; none at the end."""
        if not self._kept:
            return self._answer.read1(most)
        data, self._kept = self._kept[:most], self._kept[most:]
        return data

    def restart_timer(self) -> None:
        """Something whole was in what came: the time for the next begins."""
        self._since_s = time.monotonic()

    def check(self) -> None:
        """Raise SourceError if nothing whole came for too long, though bytes did."""
        # The socket's own limit does not see a camera that sends byte by byte.
        if time.monotonic() - self._since_s > self.limit_s:
            raise SourceError(f"no picture for {self.limit_s:.3g} s")


class FilmReader:
    """What PyAV reads a body by."""

    def __init__(self, body: Body) -> None:
        self._body = body

    def read(self, most: int) -> bytes:
        """As a file has it."""
        data = self._body.read(most)
        self._body.check()
        return data


def kind_of(first: bytes, declared: str) -> Kind:
    """What a body is.

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
