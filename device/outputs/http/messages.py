"""Requests and responses of the device's server, apart from their form as bytes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

SECURITY_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Headers of every response; its own headers replace them, and an empty value removes one."""


@dataclass(frozen=True)
class Request:
    """A client's request."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """By lower-case name."""
    body: bytes = b""


@dataclass(frozen=True)
class Response:
    """The server's response."""

    status: int
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)


class BadRequestError(Exception):
    """The client does not speak HTTP as this server knows it, or sends too much."""

    def __init__(self, status: HTTPStatus, words: str = "") -> None:
        super().__init__(words or status.phrase)
        self.status = status


def text(status: int, message: str) -> Response:
    """A response of one line."""
    return Response(status, (message + "\n").encode())


def not_allowed(method: str) -> Response:
    """The response to a method other than the one that a path supports, GET or POST."""
    allowed = "GET, HEAD" if method == "GET" else method
    return Response(405, f"Only {allowed} works here.\n".encode(), headers={"Allow": allowed})
