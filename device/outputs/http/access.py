"""Who may talk to the device's servers, and from which pages.

On loopback the danger is a browser on the same machine that shows a hostile page: such a page must
not reach the server under its own name (DNS rebinding), nor make it do anything (CSRF). On the
network everybody also needs the token.
"""

import hashlib
import hmac
import ipaddress
import socket
from collections.abc import Iterator, Mapping
from urllib.parse import parse_qs, urlsplit

from device.outputs.http.messages import Request, Response, text
from device.settings.sections import ServerConfig

COOKIE_LIFE_S = 180 * 24 * 3600
MAX_FORM_FIELDS = 4
CROSS_SITE_MESSAGE = (
    "Only the device's own page may request this. If you are on that page, add the name in its "
    "address to `hosts` in fieldguide.toml, or let the proxy pass on the Host header."
)


class Access:
    """The rules of one server."""

    def __init__(self, config: ServerConfig) -> None:
        """Take settings that `sections.check_server` has checked."""
        self._token = config.token
        self._hosts = {name.lower() for name in config.hosts}
        own = socket.gethostname().lower()
        self._names = {"localhost", own, f"{own}.local", *self._hosts}
        # Cookies ignore ports: devices behind one address need different cookie names.
        self._cookie = f"fieldguide-{self._digest('cookie name')[:12]}"

    def refuse(self, request: Request) -> Response | None:
        """The response that refuses a request; None if the request is allowed."""
        host = request.headers.get("host", "")
        if not self.knows(host):
            return text(
                421, "That is not a name of this device: add it to `hosts` in fieldguide.toml."
            )
        if self._is_cross_site(request.headers) and not _opens_page(request):
            return text(403, CROSS_SITE_MESSAGE)
        if not self.admits(request):
            challenge = {"WWW-Authenticate": "Bearer"}
            return Response(401, b"The token is missing or wrong.\n", headers=challenge)
        return None

    def knows(self, host: str) -> bool:
        """Whether a Host header names this device. Only names can be rebound, not IP addresses."""
        name = "" if "@" in host or "/" in host else _name(host)
        return name in self._names or _is_address(name)

    def admits(self, request: Request) -> bool:
        """Whether the request has the token, in its header or in the cookie derived from it."""
        if not self._token:
            return True
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        bearer = scheme.lower() == "bearer" and _equal(token.strip(), self._token)
        session = self._digest("cookie")
        cookies = _cookies(request.headers.get("cookie", ""))
        return bearer or any(_equal(v, session) for name, v in cookies if name == self._cookie)

    def sign_in(self, request: Request, *, framed: bool = False) -> Mapping[str, str] | None:
        """The header that sets the cookie, if the request has the token.

        Args:
            request: with the token in its address or in a form.
            framed: whether other sites may show the page in a frame.
        """
        if not self._token or not _equal(offered_token(request), self._token):
            return None
        # Without a path it is limited to the page's folder: a proxy's other pages do not get it.
        rules = f"Max-Age={COOKIE_LIFE_S}; HttpOnly; {_cookie_scope(request.headers, framed)}"
        return {"Set-Cookie": f"{self._cookie}={self._digest('cookie')}; {rules}"}

    def is_own_page(self, request: Request) -> bool:
        """Whether a script of this server's page sent a request that changes something."""
        site = request.headers.get("sec-fetch-site")
        # Set by the browser itself, so it is right even if a proxy changes Host.
        return self._has_own_origin(request.headers) if site is None else site == "same-origin"

    def _is_cross_site(self, headers: Mapping[str, str]) -> bool:
        """Whether the browser says that another site's page sent the request."""
        site = headers.get("sec-fetch-site")
        if site is not None:
            return site not in ("none", "same-origin")
        return "origin" in headers and not self._has_own_origin(headers)

    def _has_own_origin(self, headers: Mapping[str, str]) -> bool:
        """The same by Origin: browsers send no Sec-Fetch-Site for pages without TLS."""
        netloc = _netloc(headers.get("origin", ""))
        own = netloc == headers.get("host", "").lower() or _name(netloc) in self._hosts
        return bool(netloc) and own

    def _digest(self, purpose: str) -> str:
        # Stays valid over a restart, ends with the token, and does not reveal it.
        words = f"fieldguide {purpose}".encode()
        return hmac.new(self._token.encode(), words, hashlib.sha256).hexdigest()


def offered_token(request: Request) -> str:
    """The token in a request's address or form field; empty if there is none."""
    if request.method == "POST":
        try:
            fields = parse_qs(request.body.decode("latin-1"), max_num_fields=MAX_FORM_FIELDS)
        except ValueError:
            return ""
        return fields.get("token", [""])[0]
    return request.query.get("token", "")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _name(netloc: str) -> str:
    """The name in a host with or without a port; empty if it is not valid."""
    try:
        return urlsplit(f"//{netloc}").hostname or ""
    except ValueError:
        return ""


def _netloc(origin: str) -> str:
    """Host and port of an Origin header, in lower case; empty if it has none."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def _opens_page(request: Request) -> bool:
    """Whether it opens the page: a link on another site may lead there, but nowhere else."""
    return request.method in ("GET", "HEAD") and request.path == "/"


def _cookies(header: str) -> Iterator[tuple[str, str]]:
    """Raw names and values: other pages' cookies may be malformed, and must not cause errors."""
    for pair in header.split(";"):
        name, _, value = pair.partition("=")
        yield name.strip(), value.strip()


def _cookie_scope(headers: Mapping[str, str], framed: bool) -> str:
    """Where the browser sends the cookie, as cookie attributes."""
    if not _is_encrypted(headers):
        return "SameSite=Lax"
    # In frames of other sites, browsers keep only cookies like this, and only with encryption.
    return "SameSite=None; Secure; Partitioned" if framed else "SameSite=Lax; Secure"


def _is_encrypted(headers: Mapping[str, str]) -> bool:
    """Whether the browser reached a proxy by https, as the browser or else the proxy says."""
    scheme, _, rest = headers.get("origin", "").partition("://")
    if rest:
        return scheme == "https"
    return headers.get("x-forwarded-proto", "").split(",")[0].strip().lower() == "https"


def _equal(given: str, wanted: str) -> bool:
    # As bytes: compare_digest refuses text other than ASCII.
    return hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode())
