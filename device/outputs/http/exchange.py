"""One client's requests and the responses to them, as bytes; h11 knows the rules of HTTP/1.1.

No socket, clock or thread here. On top of h11 this server has its own limits: GET, HEAD, and POST
with a Content-Length, which is all that its pages need; and headers that identify the client must
not be repeated.
"""

from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from urllib.parse import parse_qsl, urlsplit

import h11

from device.outputs.http.messages import SECURITY_HEADERS, BadRequestError, Request, Response

MAX_HEAD_BYTES = 32768
"""Browsers send the cookies of all pages on a host, whatever their port."""
MAX_BODY_BYTES = 4096
MAX_TRUSTED_BODY_BYTES = 2_000_000
"""Limit for a request with the token: it may hold a picture."""
MAX_QUERY_FIELDS = 16

METHODS = frozenset({"GET", "HEAD", "POST"})
VERSIONS = frozenset({b"1.0", b"1.1"})
SINGLE_HEADERS = frozenset({"authorization", "origin", "cookie"})
"""Headers that must not be repeated. h11 itself refuses Host and Content-Length that differ."""


class Exchange:
    """One connection: head, body, response, and so on until one side ends it."""

    def __init__(self) -> None:
        self._http = h11.Connection(h11.SERVER, MAX_HEAD_BYTES)
        self._body: list[bytes] = []
        self._bare = False
        """Whether the response is sent without its body."""

    def receive(self, data: bytes) -> None:
        """Take bytes from the client; empty means that it has closed its side."""
        self._http.receive_data(data)

    def head(self) -> Request | None:
        """The next request, still without its body; None while a part of its head is missing.

        Raises:
            BadRequestError: if it breaks RFC 9112, or uses what this server does not support.
            EOFError: if the client has ended the connection after its last request.
        """
        self._bare, self._body = False, []
        event = self._next()
        if isinstance(event, h11.ConnectionClosed):
            raise EOFError
        if not isinstance(event, h11.Request):
            return None
        self._bare = event.method == b"HEAD"
        return _request(event)

    def body(self) -> bytes | None:
        """The body that follows the head; None while a part of it is missing.

        Raises:
            BadRequestError: if it ends too early.
        """
        while isinstance(event := self._next(), h11.Data):
            self._body.append(event.data)
        return b"".join(self._body) if isinstance(event, h11.EndOfMessage) else None

    def permission(self) -> bytes:
        """The "100 Continue" that a client may wait for before it sends its body; else empty."""
        if not self._http.they_are_waiting_for_100_continue:
            return b""
        return self._http.send(
            h11.InformationalResponse(status_code=100, headers=[], reason=b"Continue")
        )

    def answer(self, response: Response, *, keep: bool = True) -> bytes:
        """The bytes of a response.

        Args:
            response: a header that HTTP does not allow raises `h11.LocalProtocolError`.
            keep: whether the connection stays open, if the client wants that, too.
        """
        events: list[h11.Event] = [_response(response, keep)]
        if response.body and not self._bare:
            events.append(h11.Data(data=response.body))
        events.append(h11.EndOfMessage())
        return b"".join(self._http.send(event) or b"" for event in events)

    def again(self) -> bool:
        """Get ready for the next request; false if the connection ends now."""
        if not self._http.our_state is self._http.their_state is h11.DONE:
            return False
        self._http.start_next_cycle()
        return True

    def _next(self) -> object:
        try:
            return self._http.next_event()
        except h11.RemoteProtocolError as error:
            # Its message repeats what the client sent, so it must not go into a response.
            raise BadRequestError(HTTPStatus(error.error_status_hint)) from error


def body_length(headers: Mapping[str, str], longest: int = MAX_BODY_BYTES) -> int:
    """The length of a request's body in bytes, at most `longest`.

    Raises:
        BadRequestError: if it is too long, or comes in pieces.
    """
    if "transfer-encoding" in headers:
        # Sending both is a way to make one request look like two (RFC 9112, 6.1).
        both = "content-length" in headers
        raise BadRequestError(HTTPStatus.BAD_REQUEST if both else HTTPStatus.LENGTH_REQUIRED)
    length = int(headers.get("content-length", "0"))
    if length > longest:
        raise BadRequestError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    return length


def _request(event: h11.Request) -> Request:
    if event.http_version not in VERSIONS:
        raise BadRequestError(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED)
    method = event.method.decode("ascii")
    if method not in METHODS:
        raise BadRequestError(HTTPStatus.NOT_IMPLEMENTED)
    path, query = _target(event.target.decode("ascii"))
    return Request(method, path, query, _headers(event.headers))


def _target(target: str) -> tuple[str, dict[str, str]]:
    if not target.startswith("/"):
        raise BadRequestError(HTTPStatus.BAD_REQUEST)
    try:
        # Some proxies leave two slashes after they strip a prefix.
        url = urlsplit("/" + target.lstrip("/"))
        return url.path, dict(parse_qsl(url.query, max_num_fields=MAX_QUERY_FIELDS))
    except ValueError as error:
        raise BadRequestError(HTTPStatus.BAD_REQUEST) from error


def _headers(pairs: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for raw_name, value in pairs:
        name = raw_name.decode("ascii")
        if name in headers and name in SINGLE_HEADERS:
            raise BadRequestError(HTTPStatus.BAD_REQUEST)
        headers[name] = value.decode("latin-1")
    return headers


def _response(response: Response, keep: bool) -> h11.Response:
    status = HTTPStatus(response.status)
    headers = {
        **SECURITY_HEADERS,
        **(_of_body(response) if status != HTTPStatus.NO_CONTENT else {}),
        "Connection": "keep-alive" if keep else "close",
        **response.headers,
    }
    return h11.Response(
        status_code=status,
        reason=status.phrase.encode("ascii"),
        headers=list(_encoded(headers)),
    )


def _of_body(response: Response) -> dict[str, str]:
    length = str(len(response.body))
    return {"Content-Type": response.content_type, "Content-Length": length}


def _encoded(headers: Mapping[str, str]) -> Iterator[tuple[bytes, bytes]]:
    for name, value in headers.items():
        if value:
            yield name.encode("latin-1"), value.encode("latin-1")
