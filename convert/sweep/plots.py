"""Accuracy against each price, as SVG elements in the page's colours."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle

import matplotlib.style
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from convert.sweep.compare import Entry, frontier
from convert.sweep.trial import CORES
from device.workstation.plot_style import INK, SAVING, SECOND, STYLE, inline

INCHES = (4.8, 3.6)
MARKERS = "osD^vPX*"
"""By backbone."""


@dataclass(frozen=True)
class Price:
    """What an inference or a model costs, as the horizontal axis of a plot."""

    title: str
    axis: str
    of: Callable[[Entry], float | None]


@dataclass(frozen=True)
class Plot:
    """A plot with its title."""

    title: str
    svg: Markup


PRICES = (
    Price("Work", "million multiply-accumulates", lambda e: e.figures.cost.macs / 1e6),
    Price("Size of the model", "MB", lambda e: e.figures.cost.model_bytes / 1e6),
    Price("Time on this machine", "ms, one thread", lambda e: e.figures.cost.invoke_ms),
    Price("Memory of a process", "MiB", lambda e: e.figures.cost.memory_mib),
    *(
        Price(
            f"Instructions on an {name}",
            "million, one inference, emulated",
            lambda e, core=core: e.counts[core] / 1e6 if core in e.counts else None,  # type: ignore[misc]
        )
        for core, name in CORES.items()
    ),
)


def price_plots(entries: Sequence[Entry]) -> list[Plot]:
    """Test accuracy over each price that is known of all trials, with the frontier of each.

    Args:
        entries: the trials that ended well.
    """
    known = [price for price in PRICES if all(price.of(entry) is not None for entry in entries)]
    return [_plot(price, entries) for price in known] if entries else []


def _plot(price: Price, entries: Sequence[Entry]) -> Plot:
    title = f"int8 accuracy over: {price.title}"
    with matplotlib.style.context(["default", {**STYLE, "svg.hashsalt": title}]):
        figure = Figure(figsize=INCHES, layout="constrained")
        axes = figure.subplots()
        _draw(axes, entries, lambda entry: price.of(entry) or 0.0)
        axes.set_xlabel(price.axis)
        figure.legend(loc="outside lower center", ncols=2, fontsize=9, handletextpad=0.3)
        buffer = io.StringIO()
        figure.savefig(buffer, **SAVING)
    # It contains texts of this module and names of backbones, which need no escaping.
    return Plot(price.title, Markup(inline(buffer.getvalue(), title)))


def _draw(axes: Axes, entries: Sequence[Entry], price: Callable[[Entry], float]) -> None:
    front = frontier(entries, price)
    line = [(price(entry), _accuracy(entry)) for entry in front]
    axes.plot(*zip(*line, strict=True), color=SECOND, linewidth=1.2, zorder=1)
    backbones = sorted({_backbone(entry) for entry in entries})
    for backbone, marker in zip(backbones, cycle(MARKERS), strict=False):
        axes.plot([], [], marker, color=INK, markersize=5, label=backbone)
        for entry in (one for one in entries if _backbone(one) == backbone):
            place = price(entry), _accuracy(entry)
            if entry in front:
                axes.plot(*place, marker, color=SECOND, markersize=6, zorder=2)
                _mark(axes, entry, place[0])
            else:
                axes.plot(*place, marker, color=INK, alpha=0.4, markersize=6, zorder=1)
    axes.margins(x=0.12)
    axes.tick_params(length=0)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.4g}%")


def _mark(axes: Axes, entry: Entry, x: float) -> None:
    """The interval of a trial on the frontier, and its input size."""
    low, high = entry.figures.test.interval
    axes.plot([x, x], [100 * low, 100 * high], color=SECOND, linewidth=0.8, alpha=0.5, zorder=0)
    size, place = entry.name.rpartition("@")[2], (x, _accuracy(entry))
    axes.annotate(size, place, (5, -10), textcoords="offset points", fontsize=8, color=INK)


def _accuracy(entry: Entry) -> float:
    return 100 * entry.figures.test.accuracy


def _backbone(entry: Entry) -> str:
    return entry.name.rpartition("@")[0]
