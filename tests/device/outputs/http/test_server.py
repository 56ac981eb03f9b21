"""What the device's web server promises: no client gets more of it than its share."""

import gc
import http.client
import logging
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from logging.handlers import BufferingHandler

import pytest
from hypothesis import given

from device.errors import OutputError
from device.outputs.http import places
from device.outputs.http import server as http_server
from device.outputs.http.messages import Request
from device.outputs.http.server import HttpServer
from tests.device.outputs.http.talk import GET, HUGE, answer, everything, link, reply
from tests.support.device.http_bytes import requests
from tests.support.ports import free_port
from tests.support.timing import Stopwatch, eventually

Start = Callable[[], HttpServer]


@pytest.fixture
def server() -> Iterator[HttpServer]:
    server = HttpServer("test", answer)
    server.start("127.0.0.1", 0)
    yield server
    server.close()
    assert not server._thread.is_alive()


def ask(server: HttpServer, path: str, method: str = "GET") -> http.client.HTTPResponse:
    client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    client.request(method, path)
    return client.getresponse()


def test_a_request_is_answered_and_the_connection_serves_the_next(server: HttpServer) -> None:
    client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    for body in (b"", b"12345"):
        client.request("POST", "/here?a=1&b=%20x", body)
        response = client.getresponse()
        assert response.status == 200
        words = f"POST /here {{'a': '1', 'b': ' x'}} {len(body)}\n"
        assert response.read() == words.encode()


def test_head_has_no_body(server: HttpServer) -> None:
    response = ask(server, "/", "HEAD")
    assert response.status == 200 and int(response.headers["Content-Length"]) > 0
    assert response.read() == b""


def test_every_answer_forbids_framing_sniffing_and_storing(server: HttpServer) -> None:
    headers = ask(server, "/").headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET /\r\n\r\n", 400),
        (b"GET / HTTP/2\r\n\r\n", 400),
        (b"GET http://elsewhere/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n folded: a\r\nHost: a\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"GET /?" + b"&".join([b"a=1"] * 50) + b" HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 411),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (b"DELETE / HTTP/1.1\r\nHost: a\r\n\r\n", 501),
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        (b"GET /" + b"x" * 41_000, 431),
    ],
)
def test_what_is_no_proper_request_is_refused_and_the_connection_closed(
    server: HttpServer, request_bytes: bytes, status: int
) -> None:
    answered = reply(server, request_bytes)
    assert answered.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"Connection: close" in answered


def test_requests_that_come_at_once_are_answered_in_their_order(server: HttpServer) -> None:
    many = b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % number for number in range(500))
    post = b"POST /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc"
    answered = reply(server, many + post)
    paths = re.findall(rb"^(?:GET|POST) /(\w+) ", answered, re.MULTILINE)
    assert paths == [*(b"%d" % number for number in range(500)), b"last"]
    assert answered.endswith(b"POST /last {} 3\n")


def test_who_waits_for_leave_to_send_a_body_gets_it_unless_it_is_too_long(
    server: HttpServer,
) -> None:
    head = b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n"
    with closing(link(server)) as connection:
        connection.sendall(head % 3)
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"abc")
        assert connection.recv(9999).startswith(b"HTTP/1.1 200 OK\r\n")
    assert reply(server, head % 2_000_001).startswith(b"HTTP/1.1 413 ")


@pytest.fixture(scope="module")
def fuzzed() -> Iterator[HttpServer]:
    """A server that must not log a fault, whatever it is sent."""
    handler = BufferingHandler(10**6)
    handler.setLevel(logging.ERROR)
    logging.getLogger().addHandler(handler)
    server = HttpServer("fuzzed", answer)
    server.start("127.0.0.1", 0)
    yield server
    eventually(lambda: len(server._places) == 0 and not server._tasks)
    assert ask(server, "/").status == 200
    server.close()
    # What a task raised and nobody took is logged when it goes.
    gc.collect()
    logging.getLogger().removeHandler(handler)
    own = [r for r in handler.buffer if r.name == "asyncio" or "output.fuzzed" in r.getMessage()]
    assert [record.getMessage() for record in own] == []


@given(requests())
def test_whatever_comes_gets_proper_answers_and_an_end(fuzzed: HttpServer, data: bytes) -> None:
    with closing(link(fuzzed)) as connection:
        with suppress(OSError):
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
        rest = everything(connection)
    while rest:
        head, _, rest = rest.partition(b"\r\n\r\n")
        assert re.match(rb"HTTP/1\.1 [1-5][0-9]{2} [A-Za-z ]+\r\n", head + b"\r\n"), head
        length = re.search(rb"\r\nContent-Length: ([0-9]+)", head)
        # An answer to HEAD has the length of what it leaves out.
        if length is not None and not rest.startswith(b"HTTP/1.1 "):
            rest = rest[int(length[1]) :]


def test_a_fault_costs_one_answer_and_tells_the_client_nothing(server: HttpServer) -> None:
    response = ask(server, "/fault")
    assert response.status == 500
    assert b"fault of the program" not in response.read()
    assert ask(server, "/").status == 200


def test_a_fault_before_the_answer_ends_that_connection_alone_and_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def trusts(request: Request) -> bool:
        return {"/": True}[request.path]

    server = HttpServer("careless", answer, trusts)
    server.start("127.0.0.1", 0)
    try:
        assert reply(server, b"GET /fault HTTP/1.1\r\nHost: a\r\n\r\n") == b""
        assert ask(server, "/").status == 200
    finally:
        server.close()
    (record,) = caplog.records
    assert record.getMessage() == "output.careless: a connection failed" and record.exc_info


def test_a_client_that_trickles_is_dropped_in_time(
    server: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_server, "REQUEST_TIMEOUT_S", 0.5)
    with closing(link(server)) as connection:
        watch, started_s = Stopwatch(), time.monotonic()
        connection.settimeout(0.1)
        dropped = False
        # A byte at a time: each alone would be in time.
        while not dropped and time.monotonic() < started_s + 20:
            try:
                connection.sendall(b"G")
                dropped = connection.recv(1) == b""
            except TimeoutError:
                continue
            except OSError:
                dropped = True
        assert dropped and watch.fair_s < 2


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET / HT",
        GET,
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n1",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n1",
        b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n",
    ],
    ids=["silent", "half a head", "answered", "half a body", "half a long one", "no body"],
)
def test_a_client_that_stops_is_dropped_in_time(
    server: HttpServer, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(http_server, "REQUEST_TIMEOUT_S", 0.3)
    monkeypatch.setattr(http_server, "LONG_BODY_TIMEOUT_S", 0.3)
    with closing(link(server)) as connection:
        connection.sendall(sent)
        watch = Stopwatch()
        everything(connection)
        assert watch.fair_s < 2
    eventually(lambda: len(server._places) == 0)


def test_a_client_that_does_not_read_is_dropped_in_time(
    server: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_server, "SEND_TIMEOUT_S", 0.3)
    with closing(link(server)) as connection:
        connection.sendall(b"GET /huge HTTP/1.1\r\nHost: a\r\n\r\n")
        eventually(lambda: len(server._places) == 1)
        eventually(lambda: len(server._places) == 0, within_s=3)
        assert len(everything(connection)) < len(HUGE)


def test_connections_beyond_the_limit_are_told_so_and_served_again_later(
    server: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "MAX_TRUSTED", 3)
    held = [link(server) for _ in range(3)]
    for connection in held:
        connection.sendall(GET)
    eventually(lambda: sum(place.trusted for place in server._places._places) == 3)
    response = ask(server, "/")
    assert response.status == 503 and b"connections are open already" in response.read()
    for connection in held:
        connection.close()
    eventually(lambda: len(server._places) == 0)
    assert ask(server, "/").status == 200


def test_large_cookies_of_other_pages_pass(server: HttpServer) -> None:
    cookies = b"Cookie: " + b"; ".join(b"other%d=%s" % (i, b"x" * 4000) for i in range(7))
    request = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" + cookies + b"\r\n\r\n"
    assert reply(server, request).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("target", [b"//live", b"///live", b"/live"])
def test_slashes_that_a_proxy_leaves_over_do_not_matter(server: HttpServer, target: bytes) -> None:
    request = b"GET " + target + b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    assert b"GET /live " in reply(server, request)


def test_a_taken_port_is_an_error_of_now_and_can_be_tried_again() -> None:
    first, second = HttpServer("first", answer), HttpServer("second", answer)
    first.start("127.0.0.1", free_port())
    try:
        with pytest.raises(OutputError, match=f"127.0.0.1 port {first.port}: .*in use"):
            second.start("127.0.0.1", first.port)
        first.close()
        second.start("127.0.0.1", first.port)
        assert ask(second, "/").status == 200
    finally:
        second.close()


def test_a_thread_that_begins_late_on_a_busy_machine_is_no_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at_once = HttpServer._run

    def late(server: HttpServer) -> None:
        time.sleep(2 * http_server.CLOSE_S)
        at_once(server)

    monkeypatch.setattr(HttpServer, "_run", late)
    server = HttpServer("test", answer)
    try:
        server.start("127.0.0.1", 0)
        assert ask(server, "/").status == 200
    finally:
        server.close()


def test_closing_takes_under_a_second_whatever_clients_do() -> None:
    server = HttpServer("test", answer)
    server.start("127.0.0.1", 0)
    connections = [link(server) for _ in range(8)]
    for connection in connections:
        connection.sendall(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
    eventually(lambda: sum(place.trusted for place in server._places._places) == 8)
    watch = Stopwatch()
    server.close()
    assert watch.fair_s < 1
    assert not server._thread.is_alive()
    for connection in connections:
        assert everything(connection) == b""
        connection.close()


def test_ipv6_is_served_too() -> None:
    server = HttpServer("test", answer)
    try:
        server.start("::1", 0)
    except OutputError:
        pytest.skip("this machine has no IPv6")
    try:
        with closing(socket.create_connection(("::1", server.port), timeout=5)) as connection:
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert everything(connection).startswith(b"HTTP/1.1 200 ")
    finally:
        server.close()
