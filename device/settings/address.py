"""Addresses of cameras: what they mean, and how they are shown without what is secret in them.

User, password and query of an address are only for the camera, and a token may be anywhere after
its path. So an address is shown as scheme, host and path, up to the first character that may begin
a secret. Libraries write messages of their own: `hide` removes known secrets, and the secret parts
of anything that looks like an address, from any text.
"""

import base64
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import quote, quote_plus, unquote, unquote_plus, unquote_to_bytes

from device.safe_text import printable, printable_line

HIDDEN = "..."
SCHEMES = ("rtsp", "rtsps", "http", "https")
"""Schemes of cameras, in lower case; users may write them in any case."""
AUTO = "auto"
PICAMERA2 = "picamera2"
"""Used instead of an address: the first camera found, and the first CSI camera."""
PORTS = {"http": 80, "https": 443}
SHORTEST_SECRET = 4
"""Shorter secrets occur in ordinary words, so they are hidden only inside addresses."""
LONG_VALUE = 8
"""Query values at least this long count as secret, whatever their name."""
_KNOWN = "rtsp[stu]?|rtmp[st]?|https?|mqtts?|wss?|srt|rtp|tcp|udp|tls|ftps?|onvif|mms"
_START = re.compile(
    rf"(?i)[a-z][a-z0-9+.-]*:[/\\]{{2,}}|(?:{_KNOWN}):[/\\]?|[/\\]{{2,}}(?=(?s:.*)@)"
)
_START_IN_TEXT = re.compile(
    # Without two slashes only with an @: "http: ..." may begin any message.
    rf"(?i)(?<![a-z0-9+.-])(?:[a-z][a-z0-9+.-]*:[/\\]{{2,}}|(?:{_KNOWN}):[/\\]?(?=\S*@))"
    # Without a scheme: user:password@host.
    r"|(?<![^\s'\"(<\[=])(?=[^\s@:/\\.'\"(<\[][^\s@:'\"]*:(?![/\\]{2})\S*@)"
)
_HOST = r"(?:\[[0-9A-Fa-f:.]*(?:%\w+)?\]|[\w.-]*)"
_PLACE = re.compile(
    rf"{_HOST}(?::\d{{0,5}}(?=[/?#\\]|$))?(?:[/\\](?:[^?#=;&:%]|%(?!2[356]|3[abdf]|40))*)?", re.I
)
"""Host, port and path, up to the first character, plain or encoded, that may begin a secret."""
_PLACE_IN_TEXT = re.compile(
    rf"{_HOST}(?::\d{{0,5}}(?![^\s/?#\\:,;.)'\"]))?"
    r"(?:[/\\](?:[^?#=;&:%\s]|%(?!2[356]|3[abdf]|40)|:(?=\s|$))*)?",
    re.I,
)
_DONE = re.compile(r"(?:[?#=;&:]\.\.\.)?(?:#\d+)?(?=[:;,.)'\"\]]*$)")
"""The rest of an address that `shown` has hidden already, perhaps with a frame number."""
_END = re.compile(r"[:;,.)'\"\]]*$")
_QUERY_BEFORE = re.compile("[?#]|/.*[&;=]|[&;].*=", re.S)
"""Text before an @ that may belong to a query value: what follows is a host, or still secret."""
_SECRET_KEY = re.compile(r"pass|pwd|psw|token|key|auth|secret|sig|session|sid|cred", re.I)


@dataclass(frozen=True)
class Address:
    """The parts of an address, for code that connects by itself."""

    scheme: str
    """One of `SCHEMES`."""
    place: str
    """Host and port as written in the address."""
    host: str
    """An IPv6 one in brackets."""
    port: int
    """0 if none is given and the scheme has no default."""
    target: str
    """Path and query, percent-encoded where necessary."""
    user: bytes | None = field(repr=False)
    """Percent-decoded; None if the address has neither user nor password."""
    password: bytes = field(repr=False)


def is_device(address: str) -> bool:
    """Whether it is a camera's file in /dev; in /dev/shm, which is memory, are any files."""
    return address.startswith("/dev/") and not address.startswith("/dev/shm/")


def is_network_camera(address: str) -> bool:
    """Whether it has the scheme of a camera on the network."""
    return address.partition("://")[0].lower() in SCHEMES and "://" in address


def with_plain_scheme(address: str) -> str:
    """The same address with its scheme in lower case, as FFmpeg knows it."""
    scheme, colon, rest = address.partition(":")
    return scheme.lower() + colon + rest


def parse(address: str) -> Address:
    """Split a camera's address into its parts.

    Raises:
        ValueError: if it is not valid; the message says what to write, and reveals no secret.
    """
    wrong = problem(address)
    if wrong or not is_network_camera(address):
        raise ValueError(wrong or "not the address of a camera")
    scheme, _, rest = address.partition("://")
    authority, tail = _split(rest)
    userinfo, at, place = authority.rpartition("@")
    host, port = _host_and_port(place)
    user, _, password = userinfo.partition(":")
    target = quote(tail if tail.startswith("/") else f"/{tail}", safe="%!$&'()*+,/:;=?@[]~|{}^`")
    return Address(
        scheme=scheme.lower(),
        place=place.removesuffix(":"),
        host=host,
        port=int(port) if port else PORTS.get(scheme.lower(), 0),
        target=target,
        user=unquote_to_bytes(user) if at else None,
        password=unquote_to_bytes(password),
    )


def problem(address: str) -> str:
    """What is certainly wrong with a camera's address, and what to write instead; else empty.

    The message repeats only the scheme and single characters of the address.

    Args:
        address: a camera's; anything else is not checked.
    """
    start = re.match(r"(?i)([a-z][a-z0-9+.-]*):([/\\]*)", address)
    if start is None:
        return ""
    scheme, slashes = start[1].lower(), start[2]
    if scheme not in SCHEMES:
        known = ", ".join(f"{known}://" for known in SCHEMES)
        return f"{scheme}:// is not for cameras: write {known}" if "//" in slashes else ""
    if slashes[:2] != "//":
        return f"write {scheme}:// with two slashes"
    authority, tail = _split(address.partition("://")[2])
    wrong = _unencoded(authority, tail) or _bad_place(authority.rpartition("@")[2])
    if not wrong and scheme.startswith("http") and "#" in tail:
        # It would never reach the camera.
        wrong = "write # as %23, or leave out what follows it"
    return wrong


def shown(address: str) -> str:
    """An address without its secrets, for anybody to see; a local path stays as it is."""
    start = _START.match(address)
    if start is None and address[:1] in ("/", ".", "~") and not re.search("(?s):.*@", address):
        return address
    rest = address[start.end() :] if start else address
    userinfo, at, tail = rest.rpartition("@")
    before = (start[0] if start else "") + (HIDDEN + at if at else "")
    if start is None and not at:
        # A folder, perhaps with an odd name, or an address without its beginning.
        path, mark, _ = address.partition("?")
        return f"{path}?{HIDDEN}" if mark else path
    if _QUERY_BEFORE.search(userinfo):
        return before + HIDDEN
    return before + _cut(tail, _PLACE)


def hide(text: str) -> str:
    """Any text without known secrets, and without the secret parts of addresses in it.

    If a password cannot be separated from the text around it, more than the password is removed.
    """
    return "\n".join(_hide_in_line(line) for line in _secrets.take_out(text).split("\n"))


def safe(text: str) -> str:
    """One line for logs, terminals and pages, without secrets and control characters."""
    return printable_line(hide(text))


def remember(address: str) -> None:
    """Let `hide` know the secrets in an address, in any form in which a library may repeat them."""
    _secrets.add(dict(_secrets_of(address)))


def remember_secret(secret: str) -> None:
    """The same for a single password or token."""
    _secrets.add({form: HIDDEN for form in _forms(secret)})


class _Secrets:
    """Texts that must not be seen, each with its replacement; any thread may add and read.

    One for the whole process, like the log: code that writes a message cannot know its secrets.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._shown: tuple[tuple[str, str], ...] = ()

    def add(self, shown: dict[str, str]) -> None:
        with self._lock:
            every = {**dict(self._shown), **shown}
            # The longest first: a whole address comes before the password in it.
            self._shown = tuple(sorted(every.items(), key=lambda pair: (-len(pair[0]), pair)))

    def take_out(self, text: str) -> str:
        for secret, seen in self._shown:
            text = text.replace(secret, seen)
        return text


_secrets = _Secrets()


def _split(rest: str) -> tuple[str, str]:
    """Authority, and what follows it, of an address without its scheme."""
    end = re.search("[/?#]", rest)
    return (rest, "") if end is None else (rest[: end.start()], rest[end.start() :])


def _host_and_port(place: str) -> tuple[str, str]:
    host, _, port = place.partition(":")
    if place.startswith("["):
        host, bracket, port = place.partition("]")
        return host + bracket, port.removeprefix(":")
    return host, port


def _bad_place(place: str) -> str:
    host, port = _host_and_port(place)
    if place.startswith("[") and not re.fullmatch(rf"{_HOST}(?::.*)?", place, re.S):
        return "its IPv6 address has no closing bracket"
    if ":" in port and not place.startswith("["):
        return "write an IPv6 address in brackets, and @ between password and host"
    if port and not (port.isascii() and port.isdigit() and int(port) < 65536):
        return "its port is not a number; write @ between password and host"
    if not host or re.search(r"[\s\x00-\x1f\x7f]", host):
        return "it names no host"
    return ""


def _unencoded(authority: str, tail: str) -> str:
    """How to write characters that would end the authority, where they come before its @."""
    secret, at, _ = tail.rpartition("@")
    if not at:
        return ""
    _, colon, port = authority.rpartition("@")[2].rpartition(":")
    is_password = "#" in secret or (bool(colon) and not re.fullmatch(r"\d*[\d\]]", port))
    in_path = "@" in re.split(r"[?#]", tail)[0]
    # An @ is allowed in a query, after a name and "=".
    if not (is_password or in_path) and "=" in secret:
        return ""
    signs = {"#": "%23", "/": "%2F", "?": "%3F"}
    found = " and ".join(f"{sign} as {code}" for sign, code in signs.items() if sign in secret)
    at_fix = ", in a path @ as %40" if in_path and not is_password else ""
    return f"in a password write {found}{at_fix}"


def _cut(tail: str, place: re.Pattern[str]) -> str:
    found = place.match(tail)
    assert found is not None
    rest = tail[found.end() :]
    if not rest:
        return found[0]
    return found[0] + (rest[0] if rest[0] in "?#=;&:" else "") + HIDDEN


def _hide_in_line(line: str) -> str:
    start = _START_IN_TEXT.search(line)
    if start is None:
        return line
    rest = line[start.end() :]
    userinfo, at, tail = rest.rpartition("@")
    word = re.match(r"\S*", tail)
    assert word is not None
    found = _PLACE_IN_TEXT.match("" if _QUERY_BEFORE.search(userinfo) else word[0])
    assert found is not None
    hidden = found[0] + _hide_end(word[0][found.end() :])
    behind = tail[word.end() :]
    before = line[: start.end()] + (HIDDEN + at if at else "")
    return before + hidden + _hide_in_line(behind)


def _hide_end(rest: str) -> str:
    """What follows an address in a text: hidden, except its first character and punctuation."""
    if _DONE.match(rest):
        return rest
    end = _END.search(rest)
    assert end is not None
    return (rest[0] if rest[0] in "?#=;&:" else "") + HIDDEN + end[0]


def _secrets_of(address: str) -> Iterator[tuple[str, str]]:
    """The secrets in an address, each with its replacement."""
    start = _START.match(address)
    if start is None and shown(address) == address:
        return
    rest = address[start.end() if start else 0 :]
    for userinfo, tail in _readings(rest):
        cut = _cut(tail, _PLACE)
        query = tail[len(cut.removesuffix(HIDDEN)) :]
        if userinfo or query:
            yield from ((form, shown(address)) for form in _forms(address))
        in_place_of_port = cut.endswith(f":{HIDDEN}")
        secrets = _secrets_in(userinfo, query, in_place_of_port=in_place_of_port)
        yield from ((form, HIDDEN) for secret in secrets for form in _forms(secret))
        user, _, password = userinfo.partition(":")
        plain = unquote_to_bytes(user) + b":" + unquote_to_bytes(password)
        yield base64.b64encode(plain).decode(), HIDDEN


def _readings(rest: str) -> Iterator[tuple[str, str]]:
    """Possible splits of an address without its scheme: user with password, and what follows.

    If the last @ may belong to a query value, an earlier one, or none, precedes the host.
    """
    userinfo, _, tail = rest.rpartition("@")
    yield userinfo, tail
    if _QUERY_BEFORE.search(userinfo):
        yield "", rest
        yield from ((rest[: at.start()], rest[at.end() :]) for at in re.finditer("@", userinfo))


def _secrets_in(userinfo: str, query: str, *, in_place_of_port: bool) -> list[str]:
    """The secrets in one possible split of an address, piece by piece."""
    user, colon, password = userinfo.partition(":")
    # Libraries that split addresses differently repeat other pieces.
    secrets = [userinfo, password, *re.split("[/?#@:]", password)]
    if _is_telling(query):
        secrets.append(query)
    if not colon and _is_telling(user):
        secrets.append(user)
    if in_place_of_port:
        # A password without its @.
        secrets += re.split("[/?#]", query)[:1]
    for key, value in _values(query):
        if key:
            secrets.append(f"{key}={value}")
        if _is_telling(value) or _SECRET_KEY.search(key):
            secrets.append(value)
    return secrets


def _values(query: str) -> Iterator[tuple[str, str]]:
    """Names and values; some cameras use an underscore instead of &."""
    for pair in re.split(r"[&;#]|_(?=[A-Za-z]+=)", query):
        key, equals, value = pair.partition("=")
        yield (key, value) if equals else ("", key)


def _is_telling(value: str) -> bool:
    """Whether a text is too specific to occur in an ordinary message."""
    return len(value) >= LONG_VALUE or "=" in value


def _forms(secret: str) -> Iterator[str]:
    """The ways in which a secret may be written: percent-encoded or not, escaped, and so on."""
    plain = {secret, unquote(secret), unquote_plus(secret)}
    encoded = {form for text in plain for form in (quote(text, safe=""), quote(text))}
    encoded |= {quote_plus(text, safe="") for text in plain}
    encoded |= {re.sub("%..", lambda found: found[0].lower(), text) for text in encoded}
    for text in plain | encoded:
        yield from _escaped(text)


def _escaped(text: str) -> Iterator[str]:
    forms = {text, printable(text), printable_line(text), repr(text)[1:-1]}
    forms |= {json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}
    forms |= {text.encode("ascii", "backslashreplace").decode()}
    # UTF-8 read as Latin-1.
    forms |= {text.encode("utf-8", "surrogatepass").decode("latin-1")}
    forms |= {" ".join(form.split()) for form in forms}
    for form in forms:
        if len(form) >= SHORTEST_SECRET and form.strip("."):
            yield form
