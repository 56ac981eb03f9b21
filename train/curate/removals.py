"""Which photos are safe to remove: what `make data CLEAN=1` leaves out."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from device.workstation.training import LEFT_OUT, Part
from train.curate.findings import CONTRADICTION, COPY, MISLABEL, SAME_PICTURE, Finding, Removal
from train.data.split import Row

REMOVED_MARGIN = 0.9
REMOVED_NEIGHBOURS = 1.0
"""A suspect is removed only if the judge's margin is at least this and this share of its neighbours
is of the other class. The judge alone is mostly wrong about its own strongest suspects
(train/docs/decisions/0012-cleaning-is-optional.md)."""
REMOVED_SHARE = 0.05
"""If a larger share of a class would be removed, the judge does not know the class, or a fixed
camera makes all its photos alike. Then none of them is removed."""


def removals(rows: Sequence[Row], findings: Iterable[Finding]) -> list[Removal]:
    """Photos that are safe to remove: by content from all parts, by judgement only for training.

    A model that cleaned the test part by its own judgement would only improve its own grade. Of
    copies the first photo is kept. Photos that the split leaves out anyway are not listed again.
    """
    findings = list(findings)
    named = {path for finding in findings for path in finding.paths}
    by_path = {row.path: row for row in rows if row.path in named}
    chosen: dict[str, Removal] = {}
    for finding in findings:
        for path, kind, reason in _removable(by_path, finding):
            row = by_path[path]
            if row.part != LEFT_OUT:
                chosen.setdefault(path, Removal(path, row.sha256, kind, reason))
    return _without_excess(rows, chosen.values())


def _removable(by_path: dict[str, Row], finding: Finding) -> Iterator[tuple[str, str, str]]:
    """Path, kind and reason of each photo that may be removed."""
    # A photo that the split leaves out contradicts no other, and is not a first copy.
    rows = [by_path[path] for path in finding.paths if by_path[path].part != LEFT_OUT]
    if finding.kind in (COPY, SAME_PICTURE):
        first_of: dict[str, str] = {}
        for row in rows:
            first = first_of.setdefault(row.sha256, row.path)
            if first != row.path:
                yield row.path, COPY, f"the same bytes as {first}"
    elif finding.kind == CONTRADICTION:
        reason = "the same picture is in the classes "
        reason += ", ".join(sorted({row.label for row in rows}))
        whole = len(rows) == len(finding.paths)
        yield from ((row.path, finding.kind, reason) for row in _contradicting(rows, whole))
    elif finding.kind == MISLABEL and _is_certain(finding):
        reason = f"likely a {finding.suggested} (margin {finding.score:.2f})"
        yield from ((row.path, finding.kind, reason) for row in rows if row.part == Part.TRAIN)


def _contradicting(rows: Sequence[Row], whole: bool) -> list[Row]:
    """Photos to remove if one picture is in several classes; devices' photos remove no user's.

    A group that is not `whole`, or contains devices' photos, may be linked only by those. The
    user's photos on their own are a separate finding.
    """
    own = {row.label for row in rows if not row.collected}
    saved = [row for row in rows if row.collected]
    if saved:
        return (
            [row for row in saved if own != {row.label}] if len({r.label for r in rows}) > 1 else []
        )
    return list(rows) if whole else []


def _is_certain(finding: Finding) -> bool:
    return finding.score >= REMOVED_MARGIN and finding.neighbours >= REMOVED_NEIGHBOURS


def _without_excess(rows: Sequence[Row], chosen: Iterable[Removal]) -> list[Removal]:
    """Drop removals that would take too much of a class, per kind; copies may always be removed.

    Photos that devices saved are counted separately, so that they do not affect a user's own
    photos.
    """
    chosen = sorted(chosen, key=lambda removal: removal.path)
    taken_away = {removal.path for removal in chosen}
    by_path = {row.path: row for row in rows if row.path in taken_away}
    used = [row for row in rows if row.part != LEFT_OUT]
    sizes = Counter((row.label, False) for row in used if not row.collected)
    sizes.update((row.label, True) for row in used)
    gone = [(by_path[removal.path], removal) for removal in chosen]
    taken = Counter((row.label, row.collected, removal.kind) for row, removal in gone)
    return [
        removal
        for row, removal in gone
        if removal.kind == COPY
        or taken[row.label, row.collected, removal.kind]
        <= REMOVED_SHARE * sizes[row.label, row.collected]
    ]
