"""The owner of a device is served, whoever else comes."""

import http.client
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress

import pytest

from device.outputs.http.messages import Request, Response, text
from device.outputs.http.server import HttpServer
from tests.device.outputs.http.talk import GET, answer, link, reply
from tests.support.timing import eventually


@pytest.fixture
def owned() -> Iterator[HttpServer]:
    """A server with a token, for `/`; all else is refused."""

    async def guarded(request: Request) -> Response:
        return await answer(request) if trusts(request) else text(401, "no")

    def trusts(request: Request) -> bool:
        return request.headers.get("authorization") == "Bearer owner"

    server = HttpServer("owned", guarded, trusts)
    server.start("127.0.0.1", 0)
    yield server
    server.close()


def owner(server: HttpServer) -> int:
    client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    with closing(client):
        client.request("GET", "/", headers={"Authorization": "Bearer owner"})
        return client.getresponse().status


@pytest.mark.parametrize(
    "habit",
    [b"", b"GET / HT", GET, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n1"],
    ids=["silent", "half a request", "refused", "half a body"],
)
def test_strangers_do_not_lock_the_owner_out(owned: HttpServer, habit: bytes) -> None:
    stop, answers = threading.Event(), list[int]()

    def strangers() -> None:
        held = list[socket.socket]()
        while not stop.is_set():
            # Forty at a time, and as soon as one is thrown out it comes again.
            held = [*held[-39:], link(owned)]
            with suppress(OSError):
                held[-1].sendall(habit)
            time.sleep(0.005)
        for connection in held:
            connection.close()

    crowd = threading.Thread(target=strangers)
    crowd.start()
    try:
        time.sleep(0.5)
        answers = [owner(owned) for _ in range(20)]
    finally:
        stop.set()
        crowd.join()
    assert answers == [200] * 20


def test_who_is_refused_does_not_keep_the_connection(owned: HttpServer) -> None:
    assert b"Connection: close" in reply(owned, GET)


def test_who_has_the_token_keeps_the_connection_whoever_comes(owned: HttpServer) -> None:
    client = http.client.HTTPConnection("127.0.0.1", owned.port, timeout=10)
    with closing(client):
        for _ in range(3):
            client.request("GET", "/", headers={"Authorization": "Bearer owner"})
            assert client.getresponse().read()
            local = client.sock.getsockname()
            crowd = [link(owned) for _ in range(40)]
            eventually(lambda: len(owned._places) <= 17)
            for connection in crowd:
                connection.close()
            assert client.sock.getsockname() == local


def test_only_with_the_token_a_body_may_be_long(owned: HttpServer) -> None:
    body = b"x" * 1_500_000
    post = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: %d\r\n"
    head = post % len(body) + b"Authorization: Bearer owner\r\n\r\n"
    assert b"POST / {} 1500000" in reply(owned, head + body)
    assert reply(owned, post % len(body) + b"\r\n").startswith(b"HTTP/1.1 413 ")
    longer = post % 2_000_001 + b"Authorization: Bearer owner\r\n\r\n"
    assert reply(owned, longer).startswith(b"HTTP/1.1 413 ")
