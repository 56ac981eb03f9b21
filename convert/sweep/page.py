"""The page of a sweep, `build/sweep/index.html`, from its records."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from convert.sweep.boards import BOARDS, MOST_MS, Estimate, estimate
from convert.sweep.choice import Choice, listed, reason, sentence
from convert.sweep.compare import Entry, dominators
from convert.sweep.plots import price_plots
from convert.sweep.trial import CORES, Sweep, Trial
from device.workstation.templates import STYLES, environment
from device.workstation.training import REPORT
from device.workstation.wording import counted, photos_in_events

PAGE = "index.html"
TEMPLATE = "index.html.j2"
DEFAULT_BUILD = Path("build")


@dataclass(frozen=True)
class Compared:
    """A sweep with what follows from it."""

    sweep: Sweep
    trials: Sequence[Trial]
    entries: Sequence[Entry]
    """The trials that ended well."""
    choices: Sequence[Choice]

    @property
    def doubt(self) -> str:
        """A sentence that warns of few photos; empty if there are enough."""
        judged = [entry.figures.validation for entry in self.entries]
        if not any(entry.figures.verdict.undecided for entry in self.entries):
            return ""
        photos = photos_in_events(judged[0].n, judged[0].events)
        return f"{photos} in the validation part are too few to choose by: take it as a guess."


@dataclass(frozen=True)
class Row:
    """A trial in the page's table."""

    name: str
    error: str
    entry: Entry | None
    dominator: str
    """What dominates it; empty on the frontier."""
    taken_for: tuple[str, ...]
    """Boards."""
    estimates: tuple[Estimate, ...]
    """Times by board, in the order of `BOARDS`."""


@dataclass(frozen=True)
class Card:
    """A network to take, for the boards with the same reason to take it."""

    network: str
    reason: str
    boards: tuple[str, ...]
    times_ms: tuple[float, ...]
    """Estimates, by board."""


def cards(choices: Sequence[Choice]) -> list[Card]:
    """What to take, in the order of the boards."""
    same: dict[tuple[str, str], list[Choice]] = {}
    for choice in choices:
        same.setdefault((choice.taken.name, reason(choice)), []).append(choice)
    return [
        Card(
            network,
            why,
            tuple(choice.board.name for choice in some),
            tuple(choice.expected.ms for choice in some),
        )
        for (network, why), some in same.items()
    ]


def rows(compared: Compared) -> list[Row]:
    """The table: the most accurate trial first, those that failed last."""
    entries = {entry.name: entry for entry in compared.entries}
    over, found = dominators(compared.entries), []
    for trial in compared.trials:
        row = Row(
            trial.name, trial.error, entries.get(trial.name), over.get(trial.name, ""), (), ()
        )
        found.append(_with_boards(row, compared.choices))
    return sorted(found, key=_order)


def _with_boards(row: Row, choices: Sequence[Choice]) -> Row:
    if row.entry is None:
        return row
    taken = tuple(choice.board.name for choice in choices if choice.taken.name == row.name)
    times = tuple(estimate(board, row.entry) for board in BOARDS)
    return replace(row, taken_for=taken, estimates=times)


def _order(row: Row) -> tuple[bool, float, int]:
    if row.entry is None:
        return True, 0.0, 0
    return False, -row.entry.accuracy, row.entry.needs[0]


def render(compared: Compared, out: Path) -> str:
    """The page as HTML; the same records give the same bytes.

    Args:
        compared: what it shows.
        out: the folder that it is written to, for the commands that it names.
    """
    templates = environment(Path(__file__).parent, STYLES)
    templates.filters.update(percent=_percent, time=_time, listed=listed)
    build = "" if out.parent == DEFAULT_BUILD else f" BUILD={out.parent}"
    return templates.get_template(TEMPLATE).render(
        sweep=compared.sweep,
        sentence=sentence(compared.choices),
        doubt=compared.doubt,
        cards=cards(compared.choices),
        rows=rows(compared),
        cores=CORES,
        boards=BOARDS,
        most_ms=MOST_MS,
        plots=price_plots(compared.entries),
        all_counted=all(set(CORES) <= set(entry.counts) for entry in compared.entries),
        count_command=f"make sweep-arm{build}",
        report=REPORT,
        counted=counted,
        first=compared.entries[0] if compared.entries else None,
    )


def _percent(share: float) -> str:
    return f"{share:.1%}"


def _time(ms: float) -> str:
    """In as many digits as an estimate has."""
    return f"{ms:.0f}" if ms >= 9.5 else f"{ms:.1f}"
