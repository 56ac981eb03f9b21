"""Which board runs what: the list of boards, and those that serve metrics of their own.

`[output.prometheus]` on the board serves them; `device.fleet.at_broker` asks a broker. What a board
says is not trusted: it is short, comes within seconds, and is shown and counted.
"""

import re
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from device.errors import one_line
from device.fleet.errors import FleetError, unread
from device.safe_text import printable_line
from device.settings import address

WAIT_S = 5.0
MAX_BYTES = 1024 * 1024
AT_ONCE = 32
MODEL, OWN = "update", "software"
"""The metrics of the model's releases, and of the software's own, begin with these."""
AT_BROKER, EVERY = "mqtt:", "+"
"""How the list names a board at the broker; `EVERY` for its id: all that are there."""

_LINE = re.compile(r"https?://\S+( \S+)?|mqtt:([A-Za-z0-9_-]+|\+)")
_SAMPLE = re.compile(r"fieldguide_([a-z_:]+)(?:\{(.*)\})? (\S+)")
_LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True)
class Asked:
    """Where a board's metrics are; or `AT_BROKER` and its id."""

    url: str
    token: str = field(default="", repr=False)


@dataclass(frozen=True)
class Ran:
    """What a board says of releases of one name, made safe to show."""

    name: str = ""
    """Empty if it fetches none."""
    installed: int = 0
    """The number of the release that was confirmed last; 0: none."""
    stage: str = ""
    """What it is doing about another; empty: nothing."""
    latest: int = 0
    """The number of the newest release for it; 0: none."""
    failed: int = 0
    """The number of the newest release that led back; 0: none."""
    troubles: tuple[str, ...] = ()
    """Words for what is not as it should be."""

    @property
    def release(self) -> str:
        """What was confirmed last."""
        return f"{self.name}/{self.installed}"

    def words(self) -> str:
        """For people."""
        newer = f", {self.latest} is offered" if self.latest else ""
        return f"{self.release}{newer} {self.stage}".rstrip()


@dataclass(frozen=True)
class Told:
    """What a board says of its updates."""

    url: str
    problem: str = ""
    """Why nothing is known; empty if it answered."""
    model: Ran = Ran()
    software: Ran = Ran()
    troubles: tuple[str, ...] = ()
    """Words for what is not as it should be."""

    @property
    def fetched(self) -> tuple[Ran, ...]:
        """Releases of each name that it fetches."""
        return tuple(each for each in (self.model, self.software) if each.name)


def read_list(path: Path) -> list[Asked]:
    """The boards of a file: an address in each line, and a token after it if it needs one.

    A board at a broker is a line `mqtt:ID`.

    Raises:
        FleetError: if it cannot be read, or a line is no address.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise FleetError(f"{path}: {unread(error)}; name a list of boards") from error
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
    values: dict[str, str] = {}
    facts: dict[str, dict[str, str]] = {}
    for line in text.splitlines():
        sample = _SAMPLE.match(line)
        if sample and sample[1] in (f"{MODEL}_info", f"{OWN}_info"):
            facts[sample[1]] = dict(_LABEL.findall(sample[2] or ""))
        elif sample:
            values[sample[1]] = sample[3]
    if f"{MODEL}_info" not in facts:
        return Told(url, "fetches no releases")
    return of_updates(
        url,
        _ran(MODEL, facts, values),
        _ran(OWN, facts, values),
        expired=values.get("update_expired") == "1.0",
        frozen=values.get("update_frozen") == "1.0",
        unknown_group=facts[f"{MODEL}_info"].get("unknown_group", ""),
        verified=values.get("update_time_verified") != "0.0",
    )


def _ran(kind: str, facts: Mapping[str, Mapping[str, str]], values: Mapping[str, str]) -> Ran:
    known = facts.get(f"{kind}_info", {})
    name, _, number = known.get("release", "").rpartition("/")
    return of_releases(
        name,
        installed=_whole(number),
        stage=known.get("stage", ""),
        latest=_whole(values.get(f"{kind}_latest_release", "")),
        failed=_whole(values.get(f"{kind}_failed_release", "")),
        went_back=_whole(values.get(f"{kind}_failed_releases", "")),
        problem=values.get(f"{kind}_problem") == "1.0",
    )


def of_releases(
    name: str,
    *,
    installed: int,
    stage: str,
    latest: int,
    failed: int,
    went_back: int,
    problem: bool,
) -> Ran:
    """What a board tells of releases of one name, made safe to show.

    Args:
        name: of them; empty if it fetches none.
        installed: as in `Ran`, like `stage`, `latest` and `failed`.
        stage: as there.
        latest: as there.
        failed: as there.
        went_back: from how many releases.
        problem: whether the last attempt failed.
    """
    troubles = {
        "its last attempt failed": problem,
        f"went back from {went_back} release{'s' if went_back > 1 else ''}": went_back > 0,
    }
    return Ran(
        printable_line(name)[:80],
        installed=installed,
        stage=printable_line(stage)[:80],
        latest=latest,
        failed=failed,
        troubles=tuple(words for words, is_so in troubles.items() if is_so),
    )


def of_updates(
    url: str,
    model: Ran,
    software: Ran,
    *,
    unknown_group: str,
    expired: bool,
    frozen: bool,
    verified: bool,
) -> Told:
    """What a board that fetches releases tells.

    Args:
        url: of the board.
        model: of releases of the model.
        software: of those of the software.
        unknown_group: its group, if nothing was ever rolled out to it; empty otherwise.
        expired: whether all is too old by its clock.
        frozen: whether nothing newer came for three weeks.
        verified: whether its time is.
    """
    group = printable_line(unknown_group)[:80]
    known = {
        f"nothing was ever rolled out to its group {group}: it takes the stage of all": bool(group),
        "all is too old by its clock": expired,
        "nothing newer for three weeks": frozen,
        "its time is not verified": not verified,
    }
    own = (f"{software.name}: {words}" for words in software.troubles if software.name)
    troubles = [*model.troubles, *own, *(words for words, is_so in known.items() if is_so)]
    return Told(url, model=model, software=software, troubles=tuple(troubles))


def summary(told: Sequence[Told]) -> Iterator[str]:
    """Lines that say how many boards run what."""
    answered = [each for each in told if not each.problem]
    fetched = [ran.release for each in answered for ran in each.fetched]
    for release in sorted(set(fetched)):
        count = fetched.count(release)
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
