"""Pictures out of a multipart/x-mixed-replace stream, as network cameras send MJPEG."""

import re

from device.errors import SourceError

MAX_PICTURE_BYTES = 16 * 1024 * 1024
MAX_HEAD_BYTES = 16 * 1024
ANY_BOUNDARY = b"\n--"

_HEAD = re.compile(rb"\n(--[^\n]*)\n((?:[^\r\n][^\n]*\n)*)\r?\n")
"""A boundary's line, header lines, an empty line; lines may end without a carriage return."""
_LENGTH = re.compile(rb"^content-length[ \t]*:[ \t]*(\d{1,12})[ \t]*\r?$", re.I | re.M)


class Parts:
    """Takes a stream's bytes in pieces of any size, gives back the bodies of its whole parts.

    Cameras declare boundaries with dashes too many or too few, so the boundary is learnt from the
    stream; lengths are missing or wrong, so after each body the boundary is looked for again.
    """

    def __init__(self) -> None:
        self._boundary = ANY_BOUNDARY
        self._data = bytearray(b"\n")
        """What is not given back yet, behind the end of a line."""

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
        head = _HEAD.match(self._data)
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
        body = bytes(self._data[head.end() : end])
        # Some cameras let the next boundary follow at once, instead of on a line of its own.
        self._data[:end] = b"\n"
        return body if length else body.removesuffix(b"\r")

    def _skip_to_boundary(self) -> None:
        found = self._data.find(self._boundary)
        # Not found, its beginning may be there.
        del self._data[: max(0, len(self._data) - len(self._boundary)) if found < 0 else found]

    def _end_before_boundary(self, start: int) -> int | None:
        # Of an empty body the line before the boundary is the header's last.
        found = self._data.find(self._boundary, start - 1)
        return max(start, found) if found >= 0 else None
