"""What each way turns away, over all classes that were left out, beside the first way."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from convert.verify.statistics import paired_effective_n, paired_interval_points
from tests.bench.strangers.ways import (
    DEFAULT,
    FAR,
    HELD_OUT,
    STRANGE,
    WAYS,
    Outcome,
    Shown,
    Way,
    judge,
)

HEAD = (
    "| way | known photos kept, test | left-out class: area | turned away |"
    " validation strangers turned away, gain in points (95%) | known lost, points more (95%) |"
    " other things turned away, area | rendered |"
)


@dataclass(frozen=True)
class Run:
    """The networks of one recipe and one split, one for each class that was left out."""

    name: str
    networks: tuple[Shown, ...]

    @classmethod
    def read(cls, folder: Path, classes: Sequence[str] | None = None) -> "Run":
        """Those that were trained, of all classes or of some."""
        found = []
        for path in sorted(folder.glob("*.npz")):
            if path.stem in (classes or [path.stem.removesuffix(".state")]):
                with np.load(path) as kept:
                    found.append(Shown(path.stem, {name: kept[name] for name in kept.files}))
        return cls(folder.name, tuple(found))

    def outcomes(self, way: Way) -> list[Outcome]:
        """Of each network."""
        return [judge(shown, way) for shown in self.networks]


def by_class(run: Run) -> str:
    """A row for each class that was left out, by the default way and by the score."""
    lines = ["| left out | known photos kept | turned away | by the score | area | by the score |"]
    lines += ["|---" * 6 + "|"]
    rows = zip(run.networks, run.outcomes(DEFAULT), run.outcomes(WAYS[1]), strict=True)
    for shown, one, score in rows:
        away = one.away[STRANGE]
        lines.append(
            f"| {shown.name} (n = {len(away)}) | {1 - one.away['test'].mean():.1%} |"
            f" {away.mean():.1%} | {score.away[STRANGE].mean():.1%} |"
            f" {one.areas[STRANGE]:.3f} | {score.areas[STRANGE]:.3f} |"
        )
    return "\n".join(lines)


def table(runs: Sequence[Run], first: Sequence[Run]) -> str:
    """A row for each way, means over classes and runs.

    Args:
        runs: of one recipe.
        first: of the recipe that is compared with, by the default way, on the same splits.
    """
    base = [one for run in first for one in run.outcomes(DEFAULT)]
    lines = [HEAD, "|---" * 8 + "|"]
    for way in WAYS:
        found = [one for run in runs for one in run.outcomes(way)]
        far = [f"{_mean(found, part):.1%}, {_area(found, part):.3f}" for part in FAR[::-1]]
        lines.append(
            f"| {way.name} | {1 - _mean(found, 'test'):.1%} | {_area(found, STRANGE):.3f} |"
            f" {_mean(found, STRANGE):.1%} | {gain(found, base, HELD_OUT)} |"
            f" {gain(found, base, 'test')} | {' | '.join(far)} |"
        )
    return "\n".join(lines)


def gain(found: Sequence[Outcome], base: Sequence[Outcome], part: str) -> str:
    """How many points more are turned away, paired by photo.

    Several networks know the same photo, so what they all say of an event counts together.
    """
    change = np.concatenate(
        [
            one.away[part].astype(np.int64) - other.away[part]
            for one, other in zip(found, base, strict=True)
        ]
    )
    events = np.concatenate([one.events[part] for one in found])
    effective = paired_effective_n(change, events.tolist())
    more, less = ((change == sign).mean() * effective for sign in (1, -1))
    low, high = paired_interval_points(more, less, effective)
    return f"{100 * change.mean():+.1f} ({low:+.1f} to {high:+.1f})"


def _mean(found: Sequence[Outcome], part: str) -> float:
    return float(np.mean([one.away[part].mean() for one in found if part in one.away] or [np.nan]))


def _area(found: Sequence[Outcome], part: str) -> float:
    return float(np.mean([one.areas[part] for one in found if part in one.areas] or [np.nan]))
