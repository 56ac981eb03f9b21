"""What many worlds say together, as a table, a record and a page with a plot."""

import io
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import matplotlib.style
import numpy as np
import numpy.typing as npt
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import t

from device.workstation.plot_style import FIRST, INK, SAVING, SECOND, STYLE, inline
from device.workstation.templates import STYLES, environment
from tests.bench.honesty.judge import Claim, Outcome

TEMPLATE = "honesty.html.j2"
PLOT_INCHES = (5.2, 5.0)


@dataclass(frozen=True)
class Summary:
    """One kind of figure over all worlds; shares from 0 to 1."""

    what: str
    worlds: int
    off: float
    """Reported minus true, mean over worlds."""
    interval: tuple[float, float] | None
    """95%, of that mean; None of one world, which cannot tell."""
    typical: float
    """Root mean square of reported minus true."""
    covered: float
    """Share of intervals that contain the truth."""
    width: float
    """Mean width of the intervals."""
    goal: float
    """What `off` should be within."""

    @property
    def range_points(self) -> str:
        """The interval in points, in words."""
        if self.interval is None:
            return "one world"
        low, high = (100 * end for end in self.interval)
        return f"{low:+.1f} to {high:+.1f}"


def summarised(what: str, claims: Sequence[tuple[str, Claim]], goal: float) -> Summary:
    """The summary of (world, claim) pairs; several seeds of a world count as one."""
    by_world: dict[str, list[float]] = defaultdict(list)
    for world, claim in claims:
        by_world[world].append(claim.off)
    means = np.array([np.mean(offs) for offs in by_world.values()])
    all_claims = [claim for _, claim in claims]
    return Summary(
        what=what,
        worlds=len(means),
        off=float(means.mean()),
        interval=_mean_interval(means),
        typical=float(np.sqrt(np.mean([claim.off**2 for claim in all_claims]))),
        covered=float(np.mean([claim.holds for claim in all_claims])),
        width=float(np.mean([c.interval[1] - c.interval[0] for c in all_claims])),
        goal=goal,
    )


def _mean_interval(values: npt.NDArray[np.float64]) -> tuple[float, float] | None:
    """95%, of the mean of a few values, by a t-distribution; None of one value."""
    if len(values) < 2:
        return None
    half = t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean() - half), float(values.mean() + half)


@dataclass(frozen=True)
class Torn:
    """Events on several sides of the split."""

    what: str
    torn: int
    events: int
    goal: float


def torn(what: str, outcomes: Sequence[Outcome], goal: float) -> Torn:
    """Of some worlds, over all seeds."""
    return Torn(what, sum(o.torn for o in outcomes), sum(o.events for o in outcomes), goal)


def each_world(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """One outcome for each world: the means of its splits, and all torn events."""
    by_world: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        by_world[outcome.world].append(outcome)
    return [
        replace(
            some[0],
            torn=sum(outcome.torn for outcome in some),
            same=_mean([outcome.same for outcome in some]),
            held_out=_mean(held) if (held := [o.held_out for o in some if o.held_out]) else None,
            new=_mean(new) if (new := [o.new for o in some if o.new]) else None,
        )
        for some in by_world.values()
    ]


def _mean(claims: Sequence[Claim]) -> Claim:
    low, high = np.mean([claim.interval for claim in claims], axis=0).tolist()
    return Claim(
        reported=float(np.mean([claim.reported for claim in claims])),
        interval=(low, high),
        true=float(np.mean([claim.true for claim in claims])),
        n_true=claims[0].n_true,
    )


@dataclass(frozen=True)
class Findings:
    """Everything that the benchmark found."""

    summaries: tuple[Summary, ...]
    torn: tuple[Torn, ...]
    outcomes: tuple[Outcome, ...]
    full: tuple[Outcome, ...]
    """With the default recipe."""

    @classmethod
    def of(cls, outcomes: Sequence[Outcome], full: Sequence[Outcome]) -> "Findings":
        """Sum up outcomes of the linear classifier, and of the default recipe."""
        sums = []
        for name, some in (("linear classifier", outcomes), ("default recipe, int8", full)):
            same = [(o.world, o.same) for o in some]
            held_out = [(o.world, o.held_out) for o in some if o.held_out]
            new = [(o.world, o.new) for o in some if o.new]
            sums += [summarised(f"{name}, test part", same, 0.015)] if same else []
            sums += [summarised(f"{name}, same places", held_out, 0.015)] if held_out else []
            sums += [summarised(f"{name}, new places", new, 0.04)] if new else []
        sides = (
            torn("with the right time in Exif", [o for o in outcomes if o.exif], 0.0),
            torn("without", [o for o in outcomes if not o.exif], 0.02),
        )
        return cls(tuple(sums), sides, tuple(outcomes), tuple(full))

    def table(self) -> str:
        """For the terminal; shares as points."""
        lines = [
            f"{'reported minus true, points':36}{'mean':>6}{'95%':>16}{'rms':>7}{'covered':>9}"
        ]
        for s in self.summaries:
            lines.append(
                f"{s.what:36}{100 * s.off:+6.1f}{s.range_points:>16}"
                f"{100 * s.typical:7.1f}{s.covered:9.0%}   {s.worlds} worlds, "
                f"goal within {100 * s.goal:g}"
            )
        for each in self.torn:
            lines.append(
                f"events on several sides, {each.what}: {each.torn} of {each.events} "
                f"(goal at most {each.goal:.0%})"
            )
        return "\n".join(lines)

    def page(self) -> str:
        """A page with a plot of each world's claims."""
        linear, full = each_world(self.outcomes), each_world(self.full)
        plots = {
            "Test part": _plot([o.same for o in linear], [o.same for o in full]),
            "Events held out in turn": _plot(
                [o.held_out for o in linear if o.held_out], [o.held_out for o in full if o.held_out]
            ),
            "At new places": _plot(
                [o.new for o in linear if o.new], [o.new for o in full if o.new]
            ),
        }
        template = environment(Path(__file__).parent, STYLES).get_template(TEMPLATE)
        return template.render(found=self, worlds=[*linear, *full], plots=plots)


def _plot(claims: Sequence[Claim], full: Sequence[Claim]) -> Markup:
    """Reported against true, with intervals; the diagonal is honest."""
    with matplotlib.style.context(dict(STYLE)):
        figure = Figure(figsize=PLOT_INCHES, layout="constrained")
        axes = figure.add_subplot()
        axes.plot([0, 100], [0, 100], color=INK, linewidth=0.8)
        if claims:
            _points(axes, claims, FIRST, "linear classifier")
        if full:
            _points(axes, full, SECOND, "default recipe, int8")
        axes.set(xlim=(0, 100), ylim=(0, 100), xlabel="true, %", ylabel="reported, %")
        if claims or full:
            axes.legend(loc="upper left")
        text = io.StringIO()
        figure.savefig(text, **SAVING)
    return Markup(inline(text.getvalue(), "reported against true accuracy"))


def _points(axes: Axes, claims: Sequence[Claim], colour: str, label: str) -> None:
    true = np.array([100 * claim.true for claim in claims])
    reported = np.array([100 * claim.reported for claim in claims])
    ends = np.array([[100 * end for end in claim.interval] for claim in claims])
    reach = np.abs(ends.T - reported)
    axes.errorbar(true, reported, reach, fmt="o", ms=5, lw=1, color=colour, alpha=0.8, label=label)
