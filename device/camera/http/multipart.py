"""Splits the streams of network cameras, mostly multipart/x-mixed-replace, into pictures."""

import re

from device.errors import SourceError

MAX_PICTURE_BYTES = 16 * 1024 * 1024
MAX_HEAD_BYTES = 16 * 1024
MAX_GAP_BYTES = 1024
ANY_BOUNDARY = b"\n--"

_HEAD = re.compile(rb"\n([^\n]+)\n((?:[^\r\n][^\n]*\n)*)\r?\n")
"""A boundary line, header lines and an empty line; lines may end without a carriage return."""
_GAP = re.compile(rb"\xff\xd9[\t\r\n\x20-\x7e]{0,%d}(?=\xff\xd8\xff)" % MAX_GAP_BYTES)
"""From the end of one picture to the start of the next; inside a picture this cannot match."""
_LENGTH = re.compile(rb"^content-length[ \t]*:[ \t]*(\d{1,12})[ \t]*\r?$", re.I | re.M)


class Parts:
    """Takes a stream's bytes in pieces of any size and returns the bodies of complete parts.

    Cameras declare boundaries with too many or too few dashes, so the boundary is learnt from the
    stream. Lengths are missing or wrong, so the boundary is searched for again after each body.
    """

    def __init__(self, declared: str = "") -> None:
        """Begin.

        Args:
            declared: the boundary in the header; used if the stream's boundaries have no dashes.
        """
        self._boundary = ANY_BOUNDARY
        self._declared = b"\n" + declared.strip().encode("latin-1", "replace")
        self._data = bytearray(b"\n")
        """Bytes not returned yet, after a line end."""

    def feed(self, data: bytes) -> list[bytes]:
        """The bodies that these bytes complete, in order.

        Raises:
            SourceError: if a part or its header is too large.
        """
        self._data += data
        bodies = []
        while (body := self._next()) is not None:
            bodies.append(body)
        return bodies

    def _next(self) -> bytes | None:
        self._skip_to_boundary()
        head = _HEAD.match(self._data) if self._data.startswith(self._boundary) else None
        if (head.end() if head else len(self._data)) > MAX_HEAD_BYTES:
            raise SourceError(f"the header of a picture has more than {MAX_HEAD_BYTES} bytes")
        if head is None:
            return None
        if self._boundary == ANY_BOUNDARY:
            self._boundary = b"\n" + head[1].rstrip()
        length = _LENGTH.search(head[2])
        end = head.end() + int(length[1]) if length else self._end_before_boundary(head.end())
        if (end or len(self._data)) - head.end() > MAX_PICTURE_BYTES:
            raise SourceError(f"a picture has more than {MAX_PICTURE_BYTES // 2**20} MiB")
        if end is None or end > len(self._data):
            return None
        # A view, because a slice would be one more copy.
        with memoryview(self._data) as data:
            body = bytes(data[head.end() : end])
        # Some cameras do not put the next boundary on a new line.
        self._data[:end] = b"\n"
        return body if length else body.removesuffix(b"\r")

    def _skip_to_boundary(self) -> None:
        found = self._data.find(self._boundary)
        if self._boundary == ANY_BOUNDARY and len(self._declared) > 1:
            bare = self._data.find(self._declared)
            if bare >= 0 and (found < 0 or bare < found):
                self._boundary, found = self._declared, bare
        # If it was not found, its beginning may still be at the end.
        kept = max(len(self._boundary), len(self._declared))
        del self._data[: max(0, len(self._data) - kept) if found < 0 else found]

    def _end_before_boundary(self, start: int) -> int | None:
        # If the body is empty, the line before the boundary is the header's last.
        found = self._data.find(self._boundary, start - 1)
        return max(start, found) if found >= 0 else None


class Pictures:
    """The same for JPEGs with nothing, or only meaningless lines of text, between them."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._looked = 0
        """How many bytes were searched and hold no end of a picture."""

    def feed(self, data: bytes) -> list[bytes]:
        """The pictures that are complete because these bytes begin another one, in order.

        Raises:
            SourceError: if a picture is too large.
        """
        self._data += data
        pictures, start = [], 0
        for gap in _GAP.finditer(self._data, self._looked):
            # The end marker belongs to the picture.
            pictures.append(bytes(self._data[start : gap.start() + 2]))
            start = gap.end()
        del self._data[:start]
        if len(self._data) > MAX_PICTURE_BYTES:
            raise SourceError(f"a picture has more than {MAX_PICTURE_BYTES // 2**20} MiB")
        self._looked = max(0, len(self._data) - MAX_GAP_BYTES - 5)
        return pictures

    def rest(self) -> bytes:
        """The bytes after the last complete picture; when the stream ends, they are a picture."""
        return bytes(self._data)
