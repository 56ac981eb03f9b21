"""Which board runs what: the list of boards, and those that serve metrics of their own.

`[output.prometheus]` on the board serves them; `device.fleet.at_broker` asks a broker. What a board
says is not trusted: it is short, comes within seconds, and is shown and counted.
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
AT_BROKER, EVERY = "mqtt:", "+"
"""How the list names a board at the broker; `EVERY` for its id: all that are there."""

_LINE = re.compile(r"https?://\S+( \S+)?|mqtt:([A-Za-z0-9_-]+|\+)")
_SAMPLE = re.compile(r"([a-z_:]+)(?:\{(.*)\})? (\S+)")
_LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True)
class Asked:
    """Where a board's metrics are; or `AT_BROKER` and its id."""

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

    A board at a broker is a line `mqtt:ID`.

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
        if not _LINE.fullmatch(" ".join(word)):
            raise FleetError(
                f"{path}: line {number}: write http://garden.local:9464/metrics and, if it needs "
                "one, a token; or, for a board at the broker, mqtt: and its id"
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
    if not facts:
        return Told(url, "fetches no releases")
    return of_updates(
        url,
        release=facts.get("release", ""),
        stage=facts.get("stage", ""),
        latest=_whole(values.get("latest_release", "")),
        failed=_whole(values.get("failed_release", "")),
        went_back=_whole(values.get("failed_releases", "")),
        problem=values.get("problem") == "1.0",
        expired=values.get("expired") == "1.0",
        frozen=values.get("frozen") == "1.0",
        verified=values.get("time_verified") != "0.0",
    )


def of_updates(
    url: str,
    *,
    release: str,
    stage: str,
    latest: int,
    failed: int,
    went_back: int,
    problem: bool,
    expired: bool,
    frozen: bool,
    verified: bool,
) -> Told:
    """What a board that fetches releases tells, made safe to show.

    Args:
        url: of the board.
        release: as in `Told`, like `stage`, `latest` and `failed`.
        stage: as there.
        latest: as there.
        failed: as there.
        went_back: from how many releases.
        problem: whether the last attempt failed.
        expired: whether all is too old by its clock.
        frozen: whether nothing newer came for three weeks.
        verified: whether its time is.
    """
    known = {
        "its last attempt failed": problem,
        "all is too old by its clock": expired,
        "nothing newer for three weeks": frozen,
        f"went back from {went_back} release{'s' if went_back > 1 else ''}": went_back > 0,
        "its time is not verified": not verified,
    }
    return Told(
        url,
        release=printable_line(release)[:80],
        stage=printable_line(stage)[:80],
        latest=latest,
        failed=failed,
        troubles=tuple(words for words, is_so in known.items() if is_so),
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
