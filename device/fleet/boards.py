"""Which board runs what, from the metrics that each serves (`[output.prometheus]` on the board).

What a board says is not trusted: it is short, comes within seconds, and is shown and counted.
"""

import re
import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from device.errors import one_line
from device.fleet.errors import FleetError
from device.safe_text import printable_line
from device.settings import address

WAIT_S = 5.0
MAX_BYTES = 1024 * 1024
AT_ONCE = 32
INFO = "fieldguide_update_info"
PREFIX = "fieldguide_update_"

_SAMPLE = re.compile(r"([a-z_:]+)(?:\{(.*)\})? (\S+)")
_LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True)
class Asked:
    """Where a board's metrics are."""

    url: str
    token: str = field(default="", repr=False)


@dataclass(frozen=True)
class Told:
    """What a board says of its updates."""

    url: str
    problem: str = ""
    """Why nothing is known; empty if it answered."""
    release: str = ""
    """What was confirmed last, as NAME/NUMBER; empty if it does not fetch releases."""
    stage: str = ""
    """What it is doing about another; empty: nothing."""
    latest: int = 0
    """The number of the newest release for it; 0: none."""
    failed: int = 0
    """The number of the newest release that led back; 0: none."""
    troubles: tuple[str, ...] = ()
    """Words for what is not as it should be."""


def read_list(path: Path) -> list[Asked]:
    """The boards of a file: an address in each line, and a token after it if it needs one.

    Raises:
        FleetError: if it cannot be read, or a line is no address.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise FleetError(f"{path}: {one_line(error)}") from error
    words = [(number, line.split()) for number, line in enumerate(lines, 1)]
    found = [(n, word) for n, word in words if word and not word[0].startswith("#")]
    for number, word in found:
        if not re.match("https?://.", word[0]) or len(word) > 2:
            raise FleetError(
                f"{path}: line {number}: write http://garden.local:9464/metrics and, if it needs "
                "one, a token"
            )
    return [Asked(*word) for _, word in found]


def ask(boards: Sequence[Asked]) -> list[Told]:
    """Ask all boards, many at once."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(_ask, boards))


def parse(url: str, text: str) -> Told:
    """Read a board's metrics, in the text format of Prometheus."""
    values, facts = {}, {}
    for line in text.splitlines():
        sample = _SAMPLE.match(line)
        if sample and sample[1] == INFO:
            facts = dict(_LABEL.findall(sample[2] or ""))
        elif sample and sample[1].startswith(PREFIX):
            values[sample[1].removeprefix(PREFIX)] = sample[3]
    return Told(
        url,
        "" if facts else "fetches no releases",
        printable_line(facts.get("release", ""))[:80],
        printable_line(facts.get("stage", ""))[:80],
        _whole(values.get("latest_release", "")),
        _whole(values.get("failed_release", "")),
        tuple(_troubles(values)),
    )


def summary(told: Sequence[Told]) -> Iterator[str]:
    """Lines that say how many boards run what."""
    answered = [each for each in told if not each.problem]
    for release in sorted({each.release for each in answered}):
        count = sum(each.release == release for each in answered)
        yield f"{release}: {count} of {len(answered)} boards ({100 * count / len(answered):.0f}%)"
    if len(answered) < len(told):
        yield f"{len(told) - len(answered)} of {len(told)} boards said nothing of releases"


def _ask(asked: Asked) -> Told:
    shown = address.shown(asked.url)
    try:
        request = urllib.request.Request(asked.url)
        if asked.token:
            request.add_header("Authorization", f"Bearer {asked.token}")
        with urllib.request.urlopen(request, timeout=WAIT_S) as answer:
            data = answer.read(MAX_BYTES)
    except (OSError, ValueError) as error:
        return Told(shown, address.safe(one_line(error)))
    return parse(shown, data.decode("utf-8", "replace"))


def _whole(text: str) -> int:
    return int(float(text)) if re.fullmatch(r"[0-9]{1,9}(\.0)?", text) else 0


def _troubles(values: dict[str, str]) -> Iterator[str]:
    said = {
        "problem": "its last attempt failed",
        "expired": "all is too old by its clock",
        "frozen": "nothing newer for three weeks",
    }
    yield from (words for name, words in said.items() if values.get(name) == "1.0")
    if failed := _whole(values.get("failed_releases", "")):
        yield f"went back from {failed} release{'s' if failed > 1 else ''}"
    if values.get("time_verified") == "0.0":
        yield "its time is not verified"
