"""Which network to take for each board, and why, in words.

Of the networks that a board can run in time, the most accurate one on the validation part sets the
measure. Of all that are behind it by no more than the standard error of the paired difference, the
one with the least work is taken (the "one standard error rule", Breiman et al. 1984): what the
photos cannot tell apart is told apart by its price. The test part chooses nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from convert.sweep.boards import BOARDS, Board, Estimate, estimate, obstacle
from convert.sweep.compare import Behind, Entry, behind


@dataclass(frozen=True)
class Choice:
    """The network to take for one board."""

    board: Board
    taken: Entry
    expected: Estimate
    best: Entry
    """The most accurate one that the board can run in time."""
    distance: Behind
    """How far the taken one is behind that."""
    better: Entry | None
    """The most accurate one of all, if it is not for this board and more accurate than the best."""


def choose(
    entries: Sequence[Entry], events: Sequence[str], boards: Sequence[Board] = BOARDS
) -> list[Choice]:
    """The choice for each board; a board that can run none is left out.

    Args:
        entries: the trials that ended well.
        events: the event of each validation photo, in the order of the split.
        boards: to choose for.
    """
    found = (_for_board(board, entries, events) for board in boards)
    return [choice for choice in found if choice is not None]


def _for_board(board: Board, entries: Sequence[Entry], events: Sequence[str]) -> Choice | None:
    able = [entry for entry in entries if not obstacle(board, entry)]
    if not able:
        return None
    best = max(able, key=_merit)
    near = {entry.name: behind(best, entry, events) for entry in able}
    taken = min((entry for entry in able if near[entry.name].within_error), key=_price)
    first = max(entries, key=_merit)
    return Choice(
        board=board,
        taken=taken,
        expected=estimate(board, taken),
        best=best,
        distance=near[taken.name],
        better=first if first.accuracy > best.accuracy else None,
    )


def _merit(entry: Entry) -> tuple[float, int, str]:
    return entry.accuracy, -entry.needs[0], entry.name


def _price(entry: Entry) -> tuple[int, int, float, str]:
    """Least work first; of the same work the more accurate one."""
    return *entry.needs, -entry.accuracy, entry.name


# --- in words -------------------------------------------------------------------------------------


def sentence(choices: Sequence[Choice]) -> str:
    """The one sentence that says which network to take for which board, and why."""
    if not choices:
        return "No network of this sweep is fast enough for any of these boards."
    boards: dict[str, list[str]] = {}
    for choice in choices:
        boards.setdefault(choice.taken.name, []).append(f"the {choice.board.name}")
    takes = listed([f"{name} for {listed(where)}" for name, where in boards.items()])
    where = "each" if len(choices) > 1 else "it"
    return (
        f"Take {takes}: of the networks that {where} can run in time, and that the validation "
        "photos do not tell from the most accurate of these, it needs the least work."
    )


def reason(choice: Choice) -> str:
    """Why this network for this board."""
    taken, best = choice.taken, choice.best
    found = f"{taken.accuracy:.1%} of validation photos"
    if taken.name == best.name:
        found += ", the most accurate network here"
        found += " that it can run in time" if choice.better else ""
    else:
        found += f", {_distance(choice)}, for {_work(taken, best)} of the work"
    if choice.better is not None:
        found += (
            f"; {choice.better.name} has {choice.better.accuracy:.1%}, but "
            f"{obstacle(choice.board, choice.better)}"
        )
    return f"{found}."


def _distance(choice: Choice) -> str:
    points, error = choice.distance.points, choice.distance.error_points
    return (
        f"{points:.1f} points behind {choice.best.name}, which is within the standard error of "
        f"that difference ({error:.1f})"
    )


def _work(one: Entry, other: Entry) -> str:
    return f"{one.figures.cost.macs / other.figures.cost.macs:.0%}"


def listed(parts: Sequence[str]) -> str:
    """Like "a, b and c"."""
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} and {parts[-1]}"
