"""A camera that wants a password, and checks it by itself."""

import base64
import hashlib
import re
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from urllib.parse import quote, unquote_to_bytes

from tests.support.peers.cameras import jpeg
from tests.support.peers.http_servers import send

BASIC = 'Basic realm="cam"'
MD5 = 'Digest realm="cam", qop="auth", nonce="n", algorithm=MD5'
SHA = 'Digest realm="cam", qop="auth", nonce="n", algorithm=SHA-256'
HASHES = {"MD5": "md5", "SHA-256": "sha256", "SHA-512-256": "sha512_256"}


def fields(header: str) -> dict[str, str]:
    found = re.findall(r'([\w*]+)=(?:"((?:[^"\\]|\\.)*)"|([^,\s]*))', header)
    return {name: re.sub(r"\\(.)", r"\1", quoted) or plain for name, quoted, plain in found}


@dataclass
class Guarded:
    """A camera that lets in who answers its challenges, by its own reckoning."""

    user: bytes = b"admin"
    password: bytes = b"secret"
    challenges: tuple[str, ...] = (MD5,)
    lifetime: int = 1000
    """Requests that a nonce is good for."""
    says_stale: bool = True
    given: list[str] = field(default_factory=list)
    """Authorization of each request."""
    _nonce: int = 0
    _counts: set[tuple[int, str]] = field(default_factory=set)

    def __call__(self, handler: BaseHTTPRequestHandler) -> None:
        header = handler.headers.get("Authorization", "")
        self.given.append(header)
        right, old = self._check(header, handler.path), False
        if right and header.startswith("Digest"):
            nonce, count = fields(header)["nonce"], fields(header).get("nc", "")
            old = nonce != f"n{self._nonce}" or int(count or "1", 16) > self.lifetime
            assert (self._nonce, count) not in self._counts or not count, "a count came twice"
            self._counts.add((self._nonce, count))
        if right and not old:
            return send(handler, "image/jpeg", jpeg(0))
        self._nonce += 1
        handler.send_response(401)
        for challenge in self.challenges:
            stale = ', stale="TRUE"' * (old and self.says_stale and "igest" in challenge)
            challenge = challenge.replace('="n"', f'="n{self._nonce}"')
            handler.send_header("WWW-Authenticate", challenge + stale)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    def _check(self, header: str, path: str) -> bool:
        if header.startswith("Basic "):
            basic = any("asic" in challenge for challenge in self.challenges)
            return basic and base64.b64decode(header[6:]) == self.user + b":" + self.password
        given = fields(header)
        if not header.startswith("Digest ") or given["uri"] != path:
            return False
        kind = given.get("algorithm", "MD5").upper()

        def h(*parts: bytes) -> bytes:
            name = HASHES[kind.removesuffix("-SESS")]
            return hashlib.new(name, b":".join(parts)).hexdigest().encode()

        raw = {name: value.encode("latin-1") for name, value in given.items()}
        a1 = h(self.user, raw["realm"], self.password)
        if kind.endswith("-SESS"):
            a1 = h(a1, raw["nonce"], raw["cnonce"])
        a2 = [b"GET", raw["uri"], *([h(b"")] if given.get("qop") == "auth-int" else [])]
        middle = [raw[name] for name in ("nc", "cnonce", "qop")] if "qop" in given else []
        expected = h(a1, raw["nonce"], *middle, h(*a2))
        name = raw.get("username", b"")
        if "username*" in given:
            name = unquote_to_bytes(given["username*"].removeprefix("UTF-8''"))
        named = name == (h(self.user, raw["realm"]) if "userhash" in given else self.user)
        return named and raw["response"] == expected


def login(address: str, user: str = "admin", password: str = "secret") -> str:
    return address.replace("//", f"//{quote(user, safe='')}:{quote(password, safe='')}@")
