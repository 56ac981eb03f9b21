"""Asks a camera over HTTP: with its password, its own certificate, and time limits."""

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
    """One address; what its server asked for is remembered from one request to the next."""

    def __init__(self, address: str, stall_limit_s: float) -> None:
        """Connect to nothing yet.

        Args:
            address: http or https, with user and password if there are any.
            stall_limit_s: how long each wait for more of an answer may take.

        Raises:
            ValueError: if the address cannot be one.
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
        """Ask for it.

        Raises:
            OSError: if it does not answer, or with an error.
            HTTPException: if what it answers is no HTTP.
            ValueError: if it asks for a way to sign in that is not known, or redirects to nowhere.
        """
        address = self._address
        url = f"{address.scheme}://{address.place}{address.target}"
        answer: HTTPResponse = self._opener.open(url, timeout=OPEN_TIMEOUT_S)
        return answer


class _SignInHandler(request.BaseHandler):
    """Signs in at the camera, and nowhere that it may send us."""

    handler_order = 490
    """Before errors are raised."""

    def __init__(self, address: Address) -> None:
        assert address.user is not None
        self._origin: Origin = (address.scheme, address.host.lower(), address.port)
        self._sign_in = SignIn(address.user, address.password)

    def http_request(self, wanted: request.Request) -> request.Request:
        """Called by urllib before each request, those that follow redirects as well."""
        wanted.remove_header("Authorization")
        if self._is_ours(wanted):
            header = self._sign_in.header(wanted.get_method(), wanted.selector)
            if header:
                # Not one that urllib takes along to where it is redirected.
                wanted.add_unredirected_header("Authorization", header)
        return wanted

    https_request = http_request

    def http_error_401(
        self, wanted: request.Request, file: IO[bytes], _code: int, _text: str, head: HTTPMessage
    ) -> HTTPResponse | None:
        """Called by urllib; without an answer it raises the error."""
        if not self._is_ours(wanted):
            return None
        refused: int = getattr(wanted, "refused", 0)
        challenge = self._sign_in.take(head.get_all("WWW-Authenticate", []))
        if refused > challenge.is_stale:
            self._sign_in.forget()
            return None
        wanted.refused = refused + 1  # type: ignore[attr-defined]
        # Some cameras have one connection.
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
    """Other time limits for what follows an answer's header than for all before."""

    stall_limit_s: float
    sock: Any

    def getresponse(self) -> HTTPResponse:
        # An answer may take the socket with it.
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
        """Called by urllib; certificates are not checked: those of cameras are their own."""
        trusting = ssl.create_default_context()
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        return self.do_open(self._secure, wanted, context=trusting)
