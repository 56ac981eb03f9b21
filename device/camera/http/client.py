"""The HTTP client for cameras: passwords, cameras' own certificates, and time limits."""

import ssl
from http.client import HTTPConnection, HTTPMessage, HTTPResponse, HTTPSConnection
from typing import IO, Any
from urllib import request

from device import __version__
from device.camera.http.auth import SignIn
from device.settings.address import PORTS, Address, parse
from device.settings.sections import OPEN_TIMEOUT_S

Origin = tuple[str, str, int]
"""Scheme, host, port."""


class HttpClient:
    """A client for one address; it remembers the server's challenge between requests."""

    def __init__(self, address: str, stall_limit_s: float) -> None:
        """Prepare, without connecting yet.

        Args:
            address: http or https, with user and password if there are any.
            stall_limit_s: how long each wait for more of an answer may take.

        Raises:
            ValueError: if it is not a valid address.
        """
        self._address = parse(address)
        self._opener = request.OpenerDirector()
        for handler in (
            _Connector(stall_limit_s),
            request.HTTPRedirectHandler(),
            request.HTTPErrorProcessor(),
            request.HTTPDefaultErrorHandler(),
            request.UnknownHandler(),
            *([] if self._address.user is None else [_SignInHandler(self._address)]),
        ):
            self._opener.add_handler(handler)
        self._opener.addheaders = [("User-Agent", f"fieldguide/{__version__}")]

    def open(self) -> HTTPResponse:
        """Request the address.

        Raises:
            OSError: if it does not answer, or answers with an error.
            HTTPException: if the answer is not HTTP.
            ValueError: if it asks for an unknown way to sign in, or redirects to nowhere.
        """
        address = self._address
        url = f"{address.scheme}://{address.place}{address.target}"
        answer: HTTPResponse = self._opener.open(url, timeout=OPEN_TIMEOUT_S)
        return answer


class _SignInHandler(request.BaseHandler):
    """Signs in at the camera, but not where it may redirect us."""

    handler_order = 490
    """Before errors are raised."""

    def __init__(self, address: Address) -> None:
        assert address.user is not None
        self._origin: Origin = (address.scheme, address.host.lower(), address.port)
        self._sign_in = SignIn(address.user, address.password)

    def http_request(self, wanted: request.Request) -> request.Request:
        """Called by urllib before each request, also after redirects."""
        wanted.remove_header("Authorization")
        if self._is_ours(wanted):
            header = self._sign_in.header(wanted.get_method(), wanted.selector)
            if header:
                # urllib does not repeat this header after a redirect.
                wanted.add_unredirected_header("Authorization", header)
        return wanted

    https_request = http_request

    def http_error_401(
        self, wanted: request.Request, file: IO[bytes], _code: int, _text: str, head: HTTPMessage
    ) -> HTTPResponse | None:
        """Called by urllib; if this returns None, urllib raises the error."""
        if not self._is_ours(wanted):
            return None
        refused: int = getattr(wanted, "refused", 0)
        challenge = self._sign_in.take(head.get_all("WWW-Authenticate", []))
        if refused > challenge.is_stale:
            self._sign_in.forget()
            return None
        wanted.refused = refused + 1  # type: ignore[attr-defined]
        # Some cameras allow only one connection.
        file.close()
        answer: HTTPResponse = self.parent.open(wanted, timeout=wanted.timeout)
        return answer

    def _is_ours(self, wanted: request.Request) -> bool:
        scheme, host, port = _origin(wanted)
        upgraded = self._origin == ("http", host, PORTS["http"]) and (scheme, port) == (
            "https",
            PORTS["https"],
        )
        return (scheme, host, port) == self._origin or upgraded


def _origin(wanted: request.Request) -> Origin:
    host, _, port = wanted.host.lower().rpartition(":")
    if not host or not port.isdigit():
        host, port = wanted.host.lower(), ""
    return wanted.type, host, int(port) if port else PORTS.get(wanted.type, 0)


class _TwoTimeouts:
    """A connection with separate time limits before and after the response's header."""

    stall_limit_s: float
    sock: Any

    def getresponse(self) -> HTTPResponse:
        # The response may take over the socket.
        sock = self.sock
        answer: HTTPResponse = super().getresponse()  # type: ignore[misc]
        sock.settimeout(self.stall_limit_s)
        return answer


class _Connector(request.AbstractHTTPHandler):
    """Opens http and https addresses, without a proxy: cameras are near."""

    http_request = https_request = request.AbstractHTTPHandler.do_request_

    def __init__(self, stall_limit_s: float) -> None:
        super().__init__()
        limit = {"stall_limit_s": stall_limit_s}
        self._plain: Any = type("Plain", (_TwoTimeouts, HTTPConnection), limit)
        self._secure: Any = type("Secure", (_TwoTimeouts, HTTPSConnection), limit)

    def http_open(self, wanted: request.Request) -> HTTPResponse:
        """Called by urllib."""
        return self.do_open(self._plain, wanted)

    def https_open(self, wanted: request.Request) -> HTTPResponse:
        """Called by urllib. Certificates are not checked: cameras sign their own."""
        trusting = ssl.create_default_context()
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        return self.do_open(self._secure, wanted, context=trusting)
