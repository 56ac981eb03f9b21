"""How a camera is told user and password: Digest (RFC 7616, RFC 2617), or else Basic (RFC 7617).

Of our own: urllib knows MD5 in capitals alone and takes one challenge of several; requests and
httpx do the latter, too, and are megabytes that a board would hold for a few hashes.
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
"""Those of RFC 7616, by their names for hashlib; the best first."""
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
    """By names in lower case, as HTTP has them: bytes as Latin-1."""

    @property
    def algorithm(self) -> str:
        """Of Digest, in capitals, without -SESS."""
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
        """Whether the server says that it takes names and passwords for UTF-8."""
        return self._word("charset") == "utf-8"

    @property
    def hides_user(self) -> bool:
        """Whether the user's name goes as a hash."""
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
    """All that stand in WWW-Authenticate headers, each of which may hold several.

    What is none is passed over: cameras write odd headers.
    """
    found: list[Challenge] = []
    for header in headers:
        # A name alone begins a challenge, one with = belongs to the challenge before.
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
    """The safest of challenges that we can answer; never Basic where Digest is offered.

    Raises:
        ValueError: if there is none; says what is offered.
    """
    offered = list(offered)
    digests = [challenge for challenge in offered if challenge.scheme == "digest"]
    # MD5 may be forbidden on a machine, SHA-512-256 not be known.
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
    """User and password for one server, and what it asked for last."""

    def __init__(self, user: bytes, password: bytes) -> None:
        self._user, self._password = user, password
        self._challenge: Challenge | None = None
        self._count = 0
        self._was_digest = False

    def header(self, method: str, uri: str) -> str:
        """Authorization for the next request; empty as long as nothing is known of the server.

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
        """Note what a server asks for; the next `header` answers it.

        Raises:
            ValueError: if it is nothing that can be answered, or less than it asked for before.
        """
        challenge = best(challenges(headers))
        if self._was_digest and challenge.scheme == "basic":
            raise ValueError("it asked for Digest before, and now for the password itself")
        self._was_digest = challenge.scheme == "digest"
        self._challenge, self._count = challenge, 0
        return challenge

    def forget(self) -> None:
        """A refused password is not sent again without being asked for."""
        self._challenge = None


def digest(
    challenge: Challenge, user: bytes, password: bytes, method: str, uri: str, count: int, once: str
) -> str:
    """The header that answers a Digest challenge.

    Args:
        challenge: of which the algorithm is in `ALGORITHMS`.
        user: as the server knows it: UTF-8, unless it is an old one.
        password: the same.
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
        # As it is spelled there: not everybody reads it in any case.
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
    """What a header's text was before http.client read it."""
    return text.encode("latin-1")


def _composed(text: bytes) -> bytes:
    try:
        return unicodedata.normalize("NFC", text.decode()).encode()
    except UnicodeDecodeError:
        return text
