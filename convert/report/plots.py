"""Plots of the section on quantization, as SVG elements in the page's colours."""

import io
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib.style
import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from device.workstation.conversion import CalibrationErrors, LayerFigures
from device.workstation.faults.catalogue import Strength
from device.workstation.faults.figures import FaultFigures, FaultsFigures, WithoutFault
from device.workstation.plot_style import FIRST, INK, RULE, SAVING, SECOND, STYLE, inline

NARROW, WIDE, TALL = (4.8, 3.4), (9.8, 3.4), (5.6, 4.8)


def layer_plot(layers: Sequence[LayerFigures]) -> Markup:
    """Signal to noise of each layer in network order: accumulated, and its own part."""

    def draw(axes: Axes) -> None:
        alone, so_far = zip(*((row.local_sqnr_db, row.sqnr_db) for row in layers), strict=True)
        for values, label, colour, style in (
            (alone, "this layer alone", FIRST, "--"),
            (so_far, "the whole network so far", SECOND, "-"),
        ):
            points = [(i, value) for i, value in enumerate(values) if value is not None]
            x, y = [i for i, _ in points], [value for _, value in points]
            axes.plot(x, y, style, color=colour, label=label, marker="o", markersize=3)
        blocks = [i for i, row in enumerate(layers) if row.layer.count("_") < 2]
        axes.set_xticks(blocks, [layers[i].layer for i in blocks], rotation=90, fontsize=8)
        axes.set_ylabel("signal to noise (dB)")

    return _plot("Signal to quantization noise by layer", draw, WIDE)


def reliability_plot(calibration: CalibrationErrors) -> Markup:
    """Share of correct answers over mean score, for float and int8."""

    def draw(axes: Axes) -> None:
        axes.plot(
            [0, 1], [0, 1], color=INK, linewidth=1, linestyle=":", label="perfectly calibrated"
        )
        for name, measured, colour, style in (
            ("float", calibration.float, FIRST, "--"),
            ("int8", calibration.int8, SECOND, "-"),
        ):
            _, x, y = zip(*measured.bins, strict=True)
            axes.plot(x, y, style, color=colour, label=name, marker="o", markersize=3.5)
        axes.set_xlabel("mean score of the bin")
        axes.set_ylabel("share correct")

    return _plot("Reliability of float and int8 scores", draw, NARROW)


def threshold_plot(
    curve: Sequence[tuple[float, float, float | None]], chosen: float | None
) -> Markup:
    """Coverage and precision over the limit on distances, the chosen one marked."""

    def draw(axes: Axes) -> None:
        for column, label, colour, style in (
            (1, "coverage: photos accepted", SECOND, "-"),
            (2, "precision: accepted photos correct", FIRST, "--"),
        ):
            points = [(row[0], row[column]) for row in curve if row[column] is not None]
            _line(axes, points, label, colour, style)
        if chosen is not None:
            axes.axvline(chosen, color=INK, linewidth=1, linestyle=":", label="limit")
        axes.set_xlabel("limit on the distance")
        axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.4g}%")

    return _plot("Coverage and precision over the limit", draw, NARROW)


def fault_plot(figures: FaultsFigures) -> Markup:
    """For each fault at medium strength what becomes of the photos, worst first."""
    medium = figures.at(Strength.MEDIUM)[::-1]
    rows: list[FaultFigures | WithoutFault] = [figures.without, *medium]
    names = ["no fault", *(row.title for row in medium)]

    def draw(axes: Axes) -> None:
        begin = np.zeros(len(rows))
        for label, colour, shares in (
            ("right", SECOND, [row.right_and_told for row in rows]),
            ("unknown", RULE, [row.unknown for row in rows]),
            ("wrong", FIRST, [row.wrong_and_told for row in rows]),
        ):
            axes.barh(names, shares, left=begin, color=colour, label=label, height=0.7)
            begin += shares
        axes.set_xlim(0, 1)
        axes.grid(axis="y", visible=False)
        axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.4g}%")

    return _plot("What int8 says under faults of the camera", draw, TALL, above=True)


def _line(
    axes: Axes, points: Sequence[tuple[Any, Any]], label: str, colour: str, style: str
) -> None:
    x, y = [x for x, _ in points], [y for _, y in points]
    axes.plot(x, y, style, color=colour, label=label)


def _plot(
    title: str,
    draw: Callable[[Axes], None],
    inches: tuple[float, float],
    *,
    above: bool = False,
) -> Markup:
    with matplotlib.style.context(["default", {**STYLE, "svg.hashsalt": title}]):
        figure = Figure(figsize=inches, layout="constrained")
        axes = figure.subplots()
        draw(axes)
        axes.tick_params(length=0)
        if above:
            figure.legend(loc="outside upper center", ncols=3)
        else:
            axes.legend()
        buffer = io.StringIO()
        figure.savefig(buffer, **SAVING)
    # It contains only texts of this module and names of layers, which need no escaping.
    return Markup(inline(buffer.getvalue(), title, wide=inches == WIDE))
