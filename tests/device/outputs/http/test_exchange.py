"""What the bytes of one connection mean: one reading of each request, or none at all."""

from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from typing import TypeVar

import h11
import pytest
from hypothesis import given, settings

from device.outputs.http.exchange import MAX_HEAD_BYTES, Exchange, body_length
from device.outputs.http.messages import BadRequestError, Request, Response, text
from tests.support.device.http_bytes import cuts, pieces, requests

Part = TypeVar("Part")
Outcome = tuple[list[tuple[Request, bytes]], HTTPStatus | None]


def heard(data: Iterable[bytes]) -> Outcome:
    """Requests with their bodies, each of them answered, and the status that ended it, if any."""
    exchange, coming, found = Exchange(), iter((*data, b"")), list[tuple[Request, bytes]]()
    try:
        while True:
            request = whole(exchange, exchange.head, coming)
            length = body_length(request.headers)
            body = whole(exchange, exchange.body, coming)
            assert len(body) == length
            assert exchange.answer(text(200, "yes")).startswith(b"HTTP/1.1 200 OK\r\n")
            found.append((request, body))
            if not exchange.again():
                return found, None
    except EOFError:
        return found, None
    except BadRequestError as error:
        answered = exchange.answer(text(error.status, "no"), keep=False)
        assert answered.startswith(b"HTTP/1.1 %d " % error.status)
        assert b"\r\nConnection: close\r\n" in answered and not exchange.again()
        return found, error.status


def whole(exchange: Exchange, part: Callable[[], Part | None], coming: Iterator[bytes]) -> Part:
    while (found := part()) is None:
        # Fails if it asks for more after the end.
        exchange.receive(next(coming))
    return found


def asked(*lines: bytes, body: bytes = b"", method: bytes = b"POST") -> bytes:
    return b"\r\n".join((method + b" / HTTP/1.1", b"Host: a", *lines, b"", body))


def ready(data: bytes) -> Exchange:
    """One that is about to answer."""
    exchange = Exchange()
    exchange.receive(data)
    assert exchange.head() is not None
    return exchange


@settings(max_examples=500)
@given(requests(), cuts())
def test_bytes_mean_the_same_in_whatever_pieces_they_come(data: bytes, lengths: list[int]) -> None:
    found, status = heard(pieces(data, []))
    assert heard(pieces(data, lengths)) == (found, status)
    assert status is None or 400 <= status <= 505
    for request, _ in found:
        assert request.path.startswith("/")
        assert not any(sign in value for value in request.headers.values() for sign in "\r\n\0")


@pytest.mark.parametrize(
    "lines",
    [
        [b"Content-Length: 5", b"Content-Length: 6"],
        [b"Content-Length: 5, 6"],
        [b"Content-Length: 5", b"Transfer-Encoding: chunked"],
        [b"Transfer-Encoding: chunked", b"Content-Length: 5"],
        [b"Content-Length: +5"],
        [b"Content-Length: 0x5"],
        [b"Content-Length: 5_0"],
        [b"Content-Length: 5 5"],
        [b"Content-Length: "],
        [b"Content-Length : 5"],
        [b"Content-Length: " + b"9" * 5000],
        [b"X: a\rContent-Length: 5"],
        [b"X: a\0b"],
    ],
)
def test_a_body_of_doubtful_length_is_refused(lines: list[bytes]) -> None:
    smuggled = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
    assert heard([asked(*lines, body=smuggled)]) == ([], HTTPStatus.BAD_REQUEST)


@pytest.mark.parametrize(
    "lines",
    [
        [b"Transfer-Encoding: gzip, chunked"],
        [b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"],
        [b"Transfer-Encoding: xchunked"],
        [b"Transfer-Encoding: identity", b"Content-Length: 5"],
    ],
)
def test_a_coding_that_the_server_does_not_know_is_said_to_be_that(lines: list[bytes]) -> None:
    assert heard([asked(*lines, body=b"12345")]) == ([], HTTPStatus.NOT_IMPLEMENTED)


def test_the_same_length_twice_is_one_length() -> None:
    data = asked(b"Content-Length: 5", b"Content-Length: 5", body=b"12345") + asked()
    found, status = heard([data])
    assert [body for _, body in found] == [b"12345", b""] and status is None


@pytest.mark.parametrize("name", [b"Authorization", b"Cookie", b"Origin", b"Host"])
def test_who_asks_is_said_once(name: bytes) -> None:
    assert heard([asked(name + b": x", name.lower() + b": x")])[1] == HTTPStatus.BAD_REQUEST


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"GET / HTTP/1.1", None),
        (b"GET / HTTP/1.0", None),
        (b"GET / HTTP/2.0", 505),
        (b"GET / HTTP/0.9", 505),
        (b"GET / HTTP/11", 400),
        (b"GET  / HTTP/1.1", 400),
        (b"GET /\xe9 HTTP/1.1", 400),
        (b"GET * HTTP/1.1", 400),
        (b"get / HTTP/1.1", 501),
        (b"CONNECT a:443 HTTP/1.1", 501),
        (b"OPTIONS * HTTP/1.1", 501),
    ],
)
def test_other_methods_and_versions_are_refused_as_such(line: bytes, status: int | None) -> None:
    found, ended = heard([line + b"\r\nHost: a\r\n\r\n"])
    assert ended == status and len(found) == (status is None)


def test_a_head_without_an_end_is_refused_before_it_fills_the_memory() -> None:
    piece, exchange, sent = b"X: " + b"x" * 1021, Exchange(), 0
    exchange.receive(b"GET / HTTP/1.1\r\n")
    with pytest.raises(BadRequestError) as caught:
        while exchange.head() is None:
            exchange.receive(piece)
            sent += len(piece)
    assert caught.value.status == HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
    assert sent <= MAX_HEAD_BYTES + len(piece)


@pytest.mark.parametrize("data", [b"GET / HT", asked(b"Content-Length: 5", body=b"123")])
def test_a_request_that_ends_too_early_is_a_bad_one(data: bytes) -> None:
    assert heard([data]) == ([], HTTPStatus.BAD_REQUEST)


@pytest.mark.parametrize(
    ("data", "goes_on"),
    [
        (asked(), True),
        (asked(b"Connection: keep-alive, TE"), True),
        (asked(b"Upgrade: h2c", b"Connection: Upgrade"), True),
        (asked(b"Connection: close"), False),
        (asked(b"Connection: TE, Close"), False),
        (b"GET / HTTP/1.0\r\n\r\n", False),
    ],
)
def test_the_connection_goes_on_as_the_client_says(data: bytes, goes_on: bool) -> None:
    exchange = ready(data)
    assert exchange.body() == b""
    words = b"Connection: keep-alive" if goes_on else b"Connection: close"
    assert b"\r\n" + words + b"\r\n" in exchange.answer(text(200, "yes"))
    assert exchange.again() == goes_on


def test_head_is_answered_like_get_without_the_body() -> None:
    get = ready(asked(method=b"GET")).answer(text(200, "yes"))
    assert ready(asked(method=b"HEAD")).answer(text(200, "yes")) == get.removesuffix(b"yes\n")


def test_an_answer_without_content_says_nothing_of_its_length() -> None:
    answered = ready(asked()).answer(Response(204))
    assert b"Content-Length" not in answered and b"Content-Type:" not in answered


@pytest.mark.parametrize("header", [("X", "a\r\nSet-Cookie: b"), ("X:", "a"), ("X", "Ω")])
def test_no_answer_has_a_header_more_than_the_program_gave_it(header: tuple[str, str]) -> None:
    exchange = ready(asked())
    assert exchange.body() == b""
    with pytest.raises((h11.LocalProtocolError, UnicodeEncodeError)):
        exchange.answer(Response(200, headers=dict([header])))
    # And one more can be given instead.
    assert exchange.answer(text(500, "no")).startswith(b"HTTP/1.1 500 ")


def test_leave_to_send_a_body_is_given_once_and_only_to_who_asks() -> None:
    waits = ready(asked(b"Expect: 100-continue", b"Content-Length: 5"))
    assert waits.permission() == b"HTTP/1.1 100 Continue\r\n\r\n" and waits.permission() == b""
    assert ready(asked(b"Content-Length: 5")).permission() == b""
