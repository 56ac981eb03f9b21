"""Who may talk to the device's servers, and from which pages.

On loopback the danger is a browser on the same machine that shows a hostile page: such a page
must not reach the server by a name of its own (DNS rebinding), nor have it do anything (CSRF).
On the network everyone else needs the token besides.
"""

import hashlib
import hmac
import ipaddress
import socket
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from device.config import ServerConfig
from device.http_server import Request, Response, text

COOKIE = "fieldguide"
COOKIE_LIFE_S = 180 * 24 * 3600


class Access:
    """The rules of one server."""

    def __init__(self, config: ServerConfig) -> None:
        """Take settings that were checked (`config.check_server`)."""
        self._token = config.token
        own = socket.gethostname().lower()
        self._names = {"localhost", own, f"{own}.local", *(name.lower() for name in config.hosts)}

    def refuse(self, request: Request) -> Response | None:
        """The answer to a request that must not pass; None if it may."""
        host = request.headers.get("host", "")
        if not self.knows(host):
            return text(421, "Not a name of this device; add it to `hosts` in fieldguide.toml.")
        if _from_elsewhere(request.headers, host) and not _opens_page(request):
            return text(403, "Only the device's own page may ask for this.")
        if not self.admits(request):
            challenge = {"WWW-Authenticate": "Bearer"}
            return Response(401, b"The token is missing or wrong.\n", headers=challenge)
        return None

    def knows(self, host: str) -> bool:
        """Whether a Host header names this device; addresses cannot be rebound, names can."""
        try:
            name = urlsplit(f"//{host}").hostname or ""
            if "@" in host or "/" in host or not name:
                return False
        except ValueError:
            return False
        return name in self._names or _is_address(name)

    def admits(self, request: Request) -> bool:
        """Whether the request has the token, in its header or as the cookie made from it."""
        if not self._token:
            return True
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        bearer = scheme.lower() == "bearer" and _equal(token.strip(), self._token)
        return bearer or _equal(_cookie(request.headers), self._session())

    def sign_in(self, request: Request) -> Mapping[str, str] | None:
        """The header that sets the cookie, if the request's address has the token."""
        if not self._token or not _equal(request.query.get("token", ""), self._token):
            return None
        rules = f"Max-Age={COOKIE_LIFE_S}; Path=/; HttpOnly; SameSite=Strict"
        return {"Set-Cookie": f"{COOKIE}={self._session()}; {rules}"}

    def _session(self) -> str:
        # Survives a restart, ends with the token, and does not give it away.
        return hmac.new(self._token.encode(), b"fieldguide cookie", hashlib.sha256).hexdigest()


def is_own_page(request: Request) -> bool:
    """Whether a request that changes something was made by a script of this server's page."""
    host, origin = request.headers.get("host", ""), request.headers.get("origin", "")
    return bool(host) and _netloc(origin) == host.lower()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _from_elsewhere(headers: Mapping[str, str], host: str) -> bool:
    """Whether the browser says that another site's page asks."""
    site, origin = headers.get("sec-fetch-site", "none"), headers.get("origin")
    foreign = origin is not None and _netloc(origin) != host.lower()
    return foreign or site not in ("none", "same-origin")


def _netloc(origin: str) -> str:
    """Host and port of an Origin header, lower-case; empty if it has none."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def _opens_page(request: Request) -> bool:
    """A link from elsewhere may lead to the page, and to nothing else."""
    return request.method in ("GET", "HEAD") and request.path == "/"


def _cookie(headers: Mapping[str, str]) -> str:
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return morsel.value if morsel else ""


def _equal(given: str, wanted: str) -> bool:
    # Bytes: compare_digest refuses other text than ASCII.
    return hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode())
