"""Plots of the verification report, as SVG elements in the page's own colours."""

import io
import re
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib.style
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from device.workstation.conversion import CalibrationErrors, LayerFigures

INK, RULE, FLOAT, INT8 = "#0a0b01", "#0a0b02", "#0a0b03", "#0a0b04"
"""Stand-ins: the page replaces them by its own colours, which know light and dark."""
COLOURS = {
    INK: "var(--muted)",
    RULE: "var(--rule)",
    FLOAT: "var(--training)",
    INT8: "var(--accent)",
}
STYLE = {
    # As text, labels follow the reader's fonts; as paths they would double the page.
    "svg.fonttype": "none",
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": RULE,
    "axes.labelcolor": INK,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "xtick.color": RULE,
    "ytick.color": RULE,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
}
NARROW, WIDE = (4.8, 3.4), (9.8, 3.4)


def layer_plot(layers: Sequence[LayerFigures]) -> Markup:
    """Signal to noise of each layer in network order: what has piled up, and its own part."""

    def draw(axes: Axes) -> None:
        alone, so_far = zip(*((row.local_sqnr_db, row.sqnr_db) for row in layers), strict=True)
        for values, label, colour, style in (
            (alone, "this layer alone", FLOAT, "--"),
            (so_far, "the whole network so far", INT8, "-"),
        ):
            points = [(i, value) for i, value in enumerate(values) if value is not None]
            x, y = [i for i, _ in points], [value for _, value in points]
            axes.plot(x, y, style, color=colour, label=label, marker="o", markersize=3)
        blocks = [i for i, row in enumerate(layers) if row.layer.count("_") < 2]
        axes.set_xticks(blocks, [layers[i].layer for i in blocks], rotation=90, fontsize=8)
        axes.set_ylabel("signal to noise (dB)")

    return _plot("Signal to quantization noise by layer", draw, WIDE)


def reliability_plot(calibration: CalibrationErrors) -> Markup:
    """Share of right answers over mean score, for float and int8."""

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=INK, linewidth=1, linestyle=":", label="as it should be")
        for name, measured, colour, style in (
            ("float", calibration.float, FLOAT, "--"),
            ("int8", calibration.int8, INT8, "-"),
        ):
            _, x, y = zip(*measured.bins, strict=True)
            axes.plot(x, y, style, color=colour, label=name, marker="o", markersize=3.5)
        axes.set_xlabel("mean score of the bin")
        axes.set_ylabel("share named right")

    return _plot("Reliability of float and int8 scores", draw, NARROW)


def threshold_plot(curve: Sequence[tuple[float, float, float | None]], chosen: float) -> Markup:
    """Coverage and precision over the threshold, the chosen one marked."""

    def draw(axes: Axes) -> None:
        for column, label, colour, style in (
            (1, "coverage: photos accepted", INT8, "-"),
            (2, "precision: accepted and right", FLOAT, "--"),
        ):
            points = [(row[0], row[column]) for row in curve if row[column] is not None]
            _line(axes, points, label, colour, style)
        axes.axvline(chosen, color=INK, linewidth=1, linestyle=":", label="threshold")
        axes.set_xlabel("threshold on the score")
        axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.4g}%")

    return _plot("Coverage and precision over the threshold", draw, NARROW)


def _line(
    axes: Axes, points: Sequence[tuple[Any, Any]], label: str, colour: str, style: str
) -> None:
    x, y = [x for x, _ in points], [y for _, y in points]
    axes.plot(x, y, style, color=colour, label=label)


def _plot(title: str, draw: Callable[[Axes], None], inches: tuple[float, float]) -> Markup:
    with matplotlib.style.context(["default", {**STYLE, "svg.hashsalt": title}]):
        figure = Figure(figsize=inches, layout="constrained")
        axes = figure.subplots()
        draw(axes)
        axes.tick_params(length=0)
        axes.legend()
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    return _inline(buffer.getvalue(), title, inches == WIDE)


def _inline(svg: str, title: str, wide: bool) -> Markup:
    """Make a file of matplotlib an element of the page.

    Args:
        svg: its texts are this module's own and names of layers, none of which needs escaping
            beyond matplotlib's.
        title: what a screen reader says.
        wide: it keeps a width that can be read, and scrolls on a narrow screen.
    """
    body = svg[svg.index("<svg") :]
    # Metadata names a web address, the style rule is meant for all elements of a file, and group
    # ids would stand on the page once per plot.
    body = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", body, flags=re.DOTALL)
    body = re.sub(r'<g id="[^"]*"', "<g", body)
    viewbox = re.search(r'viewBox="[^"]*"', body)
    assert viewbox is not None
    size = ' style="max-width:none;min-width:44rem"' if wide else ""
    head = f'<svg {viewbox[0]} role="img" aria-label="{title}"{size}>'
    body = re.sub(r"<svg[^>]*>", head, body, count=1)
    for stand_in, colour in COLOURS.items():
        body = body.replace(stand_in, colour)
    return Markup(body)
