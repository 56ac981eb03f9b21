"""Signing in at a camera with user and password: Digest (RFC 7616, RFC 2617) or Basic (RFC 7617).

We implement it ourselves: urllib only knows MD5 in capitals and reads only one of several
challenges. So do requests and httpx, which would also take megabytes for a few hashes.
"""

import base64
import hashlib
import re
import secrets
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote_from_bytes

ALGORITHMS = {"SHA-512-256": "sha512_256", "SHA-256": "sha256", "MD5": "md5"}
"""The algorithms of RFC 7616 with their hashlib names; the best first."""
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_ITEM = re.compile(
    rf'[\s,]*(?:(?P<key>{_TOKEN})\s*=\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"?|(?P<plain>[^\s,"]*))'
    rf"|(?P<scheme>{_TOKEN})|[^,]+)"
)


@dataclass(frozen=True)
class Challenge:
    """One way to sign in that a server offers."""

    scheme: str
    """In lower case."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """By lower-case name; values as in HTTP, with bytes read as Latin-1."""

    @property
    def algorithm(self) -> str:
        """The Digest algorithm, in capitals, without -SESS."""
        return self._algorithm.removesuffix("-SESS")

    @property
    def is_session(self) -> bool:
        """Whether its hashes hold for a session."""
        return self._algorithm.endswith("-SESS")

    @property
    def is_stale(self) -> bool:
        """Whether the password was right, but the nonce too old."""
        return self._word("stale") == "true"

    @property
    def is_utf8(self) -> bool:
        """Whether the server says that it reads names and passwords as UTF-8."""
        return self._word("charset") == "utf-8"

    @property
    def hides_user(self) -> bool:
        """Whether the user's name is sent as a hash."""
        return self._word("userhash") == "true"

    @property
    def qop(self) -> str:
        """The quality of protection to use; empty for a server from before there was one."""
        offered = [word.strip().lower() for word in self.parameters.get("qop", "").split(",")]
        return next((word for word in ("auth", "auth-int") if word in offered), "")

    @property
    def _algorithm(self) -> str:
        return self.parameters.get("algorithm", "MD5").strip().upper()

    def _word(self, name: str) -> str:
        return self.parameters.get(name, "").strip().lower()


def challenges(headers: Iterable[str]) -> list[Challenge]:
    """All challenges in WWW-Authenticate headers, each of which may hold several.

    Anything else is skipped: cameras write odd headers.
    """
    found: list[Challenge] = []
    for header in headers:
        # A bare name begins a challenge; a name with = belongs to the challenge before it.
        parameters: dict[str, str] = {}
        for item in _ITEM.finditer(header):
            if item["scheme"]:
                parameters = {}
                found.append(Challenge(item["scheme"].lower(), parameters))
            elif item["key"]:
                value = item["plain"]
                if value is None:
                    value = re.sub(r"\\(.)", r"\1", item["quoted"])
                parameters.setdefault(item["key"].lower(), value)
    return found


def best(offered: Iterable[Challenge]) -> Challenge:
    """The safest challenge that we can answer; never Basic if Digest is offered.

    Raises:
        ValueError: if we can answer none; says what is offered.
    """
    offered = list(offered)
    digests = [challenge for challenge in offered if challenge.scheme == "digest"]
    # MD5 may be forbidden on this machine, and SHA-512-256 unknown.
    known = hashlib.algorithms_available
    order = [name for name, function in ALGORITHMS.items() if function in known]
    usable = [challenge for challenge in digests if challenge.algorithm in order]
    if usable:
        return min(usable, key=lambda challenge: order.index(challenge.algorithm))
    basic = [challenge for challenge in offered if challenge.scheme == "basic"]
    if basic and not digests:
        return basic[0]
    names = [f"digest {c.algorithm}".strip() if c.scheme == "digest" else c.scheme for c in offered]
    raise ValueError(f"it takes user and password only by {', '.join(names) or 'no way it names'}")


class SignIn:
    """User and password for one server, and its latest challenge."""

    def __init__(self, user: bytes, password: bytes) -> None:
        self._user, self._password = user, password
        self._challenge: Challenge | None = None
        self._count = 0
        self._was_digest = False

    def header(self, method: str, uri: str) -> str:
        """The Authorization header for the next request; empty until the server has asked for one.

        Args:
            method: GET and so on.
            uri: path and query of the request, as they are sent.
        """
        challenge = self._challenge
        if challenge is None:
            return ""
        if challenge.scheme == "basic":
            return "Basic " + base64.b64encode(self._user + b":" + self._password).decode()
        self._count += 1
        once = secrets.token_hex(16)
        return digest(challenge, self._user, self._password, method, uri, self._count, once)

    def take(self, headers: Iterable[str]) -> Challenge:
        """Note what the server asks for; the next `header` answers it.

        Raises:
            ValueError: if we cannot answer it, or it is weaker than what it asked for before.
        """
        challenge = best(challenges(headers))
        if self._was_digest and challenge.scheme == "basic":
            raise ValueError("it asked for Digest before, and now for the password itself")
        self._was_digest = challenge.scheme == "digest"
        self._challenge, self._count = challenge, 0
        return challenge

    def forget(self) -> None:
        """Do not send a refused password again until the server asks for it."""
        self._challenge = None


def digest(
    challenge: Challenge, user: bytes, password: bytes, method: str, uri: str, count: int, once: str
) -> str:
    """The header that answers a Digest challenge.

    Args:
        challenge: its algorithm is in `ALGORITHMS`.
        user: in the server's encoding: UTF-8 unless it is an old server.
        password: likewise.
        method: GET and so on.
        uri: path and query.
        count: of requests with this nonce, from 1.
        once: the client's nonce.
    """
    if challenge.is_utf8:
        user, password = _composed(user), _composed(password)
    said = challenge.parameters
    realm, nonce = said.get("realm", ""), said.get("nonce", "")
    fields = {"realm": _quoted(realm), "nonce": _quoted(nonce), "uri": _quoted(uri)}
    qop, hashed = challenge.qop, _hash(challenge.algorithm)
    secret = hashed(user, _bytes(realm), password)
    if challenge.is_session:
        secret = hashed(secret, _bytes(nonce), once)
    asked = hashed(method, uri, hashed(b"")) if qop == "auth-int" else hashed(method, uri)
    counted = [f"{count:08x}", once, qop] if qop else []
    fields["response"] = _quoted(hashed(secret, _bytes(nonce), *counted, asked))
    if "algorithm" in said:
        # Spelled as the server spells it: some servers are case-sensitive here.
        fields["algorithm"] = said["algorithm"]
    if "opaque" in said:
        fields["opaque"] = _quoted(said["opaque"])
    if qop:
        fields |= {"qop": qop, "nc": f"{count:08x}"}
    if qop or challenge.is_session:
        fields["cnonce"] = _quoted(once)
    name, value = _user_field(challenge, user, _bytes(realm), hashed)
    fields = {name: value, **fields, **({"userhash": "true"} if challenge.hides_user else {})}
    return "Digest " + ", ".join(f"{name}={value}" for name, value in fields.items())


Hash = Callable[..., str]


def _hash(algorithm: str) -> Hash:
    """Hashes texts and bytes, joined by colons, to hexadecimal digits."""

    def hashed(*parts: str | bytes) -> str:
        joined = b":".join(part.encode() if isinstance(part, str) else part for part in parts)
        return hashlib.new(ALGORITHMS[algorithm], joined, usedforsecurity=False).hexdigest()

    return hashed


def _user_field(challenge: Challenge, user: bytes, realm: bytes, hashed: Hash) -> tuple[str, str]:
    if challenge.hides_user:
        return "username", _quoted(hashed(user, realm))
    if challenge.is_utf8 and not user.isascii():
        return "username*", f"UTF-8''{quote_from_bytes(user, safe='')}"
    return "username", _quoted(user.decode("latin-1"))


def _quoted(text: str) -> str:
    return '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'


def _bytes(text: str) -> bytes:
    """The bytes of a header's text before http.client decoded it."""
    return text.encode("latin-1")


def _composed(text: bytes) -> bytes:
    try:
        return unicodedata.normalize("NFC", text.decode()).encode()
    except UnicodeDecodeError:
        return text
