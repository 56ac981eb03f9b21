"""The figures of the simulation, as a table, a record and a page with curves."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.style
import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from device.drift.judge import FAMILIES, LEARN_DAYS
from device.drift.sample import Family
from device.workstation.plot_style import FIRST, INK, SAVING, SECOND, STYLE, inline
from device.workstation.templates import STYLES, environment
from tests.bench.drift.cached import RENDERED
from tests.bench.drift.lives import EXPECTED, WITHIN_DAYS, Found, Years
from tests.bench.drift.worlds import FOREIGN, NEW_CLASS, YEAR_DAYS

TEMPLATE = "drift.html.j2"
PLOT_INCHES = (7.2, 3.4)
CLOSE = 0.03
"""An estimate of the accuracy is close if it is off by at most this."""
GOALS = {"false_alarms": 1.0, "found": 0.95, "close": 0.90}


@dataclass(frozen=True)
class Findings:
    """What became of all lives."""

    model: str
    """Hex digest of its bytes, shortened."""
    has_distance: bool
    photos: int
    cameras: int
    days: int
    years: Years
    faults: tuple[Found, ...]
    strangers: str = RENDERED
    """What the new class is."""
    score_offset: float = 0.0
    """What the bundle adds to mean scores."""

    @property
    def camera_years(self) -> float:
        """Of judged days."""
        return self.cameras * (self.days - LEARN_DAYS) / YEAR_DAYS

    @property
    def false_alarms(self) -> dict[str, float]:
        """False alarms a camera-year, by family and all together."""
        each = self.years.alarms.sum(axis=0) / self.camera_years
        named = {family.value: float(rate) for family, rate in zip(FAMILIES, each, strict=True)}
        named[Family.PLACE.value] = float(self.years.of_place.sum() / self.camera_years)
        return {**named, "all": sum(named.values())}

    @property
    def accuracy(self) -> dict[str, float]:
        """How far estimated accuracies of weeks are from true ones."""
        off = self.years.estimated - self.years.true
        told = np.isfinite(off)
        return {
            "told": float(told.mean()),
            "close": float((np.abs(off[told]) <= CLOSE).mean()),
            "close_by_scores_alone": float((np.abs(off[told] - self.score_offset) <= CLOSE).mean()),
            "bias": float(off[told].mean()),
            "covered": float(self.years.covered[told].mean()),
        }

    def found(self) -> dict[str, float]:
        """The share of runs that told a fault in time, by fault."""
        return {one.name: float((one.after_days <= WITHIN_DAYS).mean()) for one in self.faults}

    def record(self) -> dict[str, Any]:
        """As a JSON object."""
        return {
            "model": self.model,
            "has_distance": self.has_distance,
            "photos": self.photos,
            "strangers": self.strangers,
            "cameras": self.cameras,
            "days": self.days,
            "runs_with_faults": len(self.faults[0].after_days) if self.faults else 0,
            "goals": GOALS,
            "false_alarms": self.false_alarms,
            "without_any": float((self.years.alarms.sum(axis=1) + self.years.of_place == 0).mean()),
            "found": self.found(),
            "median_days": {one.name: _median(one) for one in self.faults},
            "accuracy": self.accuracy,
        }

    def table(self) -> str:
        """The figures to read, in Markdown."""
        rates, close = self.false_alarms, self.accuracy
        by_family = ", ".join(f"{name} {rate:.2f}" for name, rate in rates.items() if name != "all")
        lines = ["| what | goal | measured |\n|---|---|---|"]
        lines.append(f"| false alarms a camera-year | <= 1 | {rates['all']:.2f} ({by_family}) |")
        for fault, share in self.found().items():
            name = f"{fault} ({self.strangers})" if fault in (NEW_CLASS, FOREIGN) else fault
            goal = ">= 95%" if fault in EXPECTED else ""
            lines.append(f"| {name}: found within {WITHIN_DAYS} days | {goal} | {share:.1%} |")
        lines.append(
            f"| estimated accuracy within 3 points | >= 90% of quiet weeks | {close['close']:.1%} "
            f"(told in {close['told']:.1%}; off by {100 * close['bias']:+.1f} points on average; "
            f"by scores alone {close['close_by_scores_alone']:.1%}) |"
        )
        return "\n".join(lines)

    def page(self) -> str:
        """A page with curves."""
        plots = {
            "False alarms": _drawn(lambda axes: _false_alarms(axes, self)),
            "Faults found": _drawn(lambda axes: _found_curves(axes, self.faults)),
            "Estimated accuracy": _drawn(lambda axes: _accuracy(axes, self.years)),
        }
        template = environment(Path(__file__).parent, STYLES).get_template(TEMPLATE)
        return template.render(found=self, record=self.record(), plots=plots, with_goal=EXPECTED)


def _median(one: Found) -> float | None:
    middle = float(np.median(one.after_days))
    return middle if np.isfinite(middle) else None


def _drawn(draw: Callable[[Axes], str]) -> Markup:
    with matplotlib.style.context(dict(STYLE)):
        figure = Figure(figsize=PLOT_INCHES, layout="constrained")
        title = draw(figure.add_subplot())
        text = io.StringIO()
        figure.savefig(text, **SAVING)
    return Markup(inline(text.getvalue(), title))


def _false_alarms(axes: Axes, found: Findings) -> str:
    """How many there were until each day of the year, for one camera."""
    until = found.years.raised.cumsum(axis=0) / found.cameras
    day = np.arange(len(until)) + LEARN_DAYS
    for index, (family, colour) in enumerate(zip(FAMILIES, (FIRST, SECOND, INK), strict=True)):
        axes.plot(day, until[:, index], color=colour, label=family.value)
    axes.plot([0, YEAR_DAYS], [0, 1], ":", color=INK, label="goal, all together")
    axes.set(xlim=(0, YEAR_DAYS), xlabel="day of a quiet year", ylabel="false alarms of a camera")
    axes.set_ylim(bottom=0)
    axes.legend(loc="upper left")
    return "false alarms of a camera over a quiet year"


def _found_curves(axes: Axes, faults: Sequence[Found]) -> str:
    styles = ((FIRST, "-"), (FIRST, "--"), (SECOND, "-"), (SECOND, "--"), (INK, "-"))
    at = np.linspace(0, 6, 241)
    for one, (colour, line) in zip(faults, styles, strict=False):
        shares = [100 * np.mean(one.after_days <= day) for day in at]
        axes.step(at, shares, line, where="post", color=colour, label=one.name)
    axes.plot([WITHIN_DAYS], [95], "o", color=INK, label=f"goal, but for {FOREIGN}")
    axes.set(xlim=(0, 6), ylim=(0, 101), xlabel="days since it began", ylabel="runs told, %")
    axes.legend(loc="lower right")
    return "share of runs in which a fault was told, by days"


def _accuracy(axes: Axes, years: Years) -> str:
    off = 100 * (years.estimated - years.true)
    off = np.sort(np.abs(off[np.isfinite(off)]))
    axes.plot(off, 100 * np.arange(1, len(off) + 1) / max(1, len(off)), color=FIRST)
    axes.plot([100 * CLOSE], [100 * GOALS["close"]], "o", color=INK, label="goal")
    axes.set(xlim=(0, 12), ylim=(0, 101), xlabel="off by at most, points", ylabel="weeks, %")
    axes.legend(loc="lower right")
    return "how far the estimated accuracy of a week is from the true one"
