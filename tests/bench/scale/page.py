"""The page: a table, and how seconds and memory grow, with their slopes."""

import base64
import io
from collections.abc import Sequence
from html import escape

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
from matplotlib import pyplot as plt

from tests.bench.scale.measured import Measured


def slope(photos: Sequence[float], values: Sequence[float]) -> float:
    """The exponent of growth: 1 if a value grows with the photos, 2 with their square."""
    return float(np.polyfit(np.log(photos), np.log(np.maximum(values, 1e-3)), 1)[0])


def table(found: Sequence[Measured]) -> str:
    """One line for each process, as text."""
    lines = [
        f"{'what':24}{'photos':>10}{'seconds':>9}{'processor':>10}{'ms a photo':>11}"
        f"{'peak MiB':>9}{'disk MiB':>9}"
    ]
    lines += [
        f"{each.name:24}{each.photos:>10,}{each.seconds:>9.0f}{each.processor_s:>10.0f}"
        f"{1000 * each.processor_s / each.photos:>11.2f}{each.peak_mib:>9,}{each.disk_mib:>9,.0f}"
        for each in found
    ]
    return "\n".join(lines)


def by_name(found: Sequence[Measured]) -> dict[str, list[Measured]]:
    """The measurements of each kind, with the fewest photos first."""
    names: dict[str, list[Measured]] = {}
    for each in sorted(found, key=lambda each: each.photos):
        names.setdefault(each.name, []).append(each)
    return names


def plot(found: Sequence[Measured]) -> bytes:
    """Two diagrams with logarithmic axes, as a PNG."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 6), constrained_layout=True)
    for axes in (left, right):
        axes.set_prop_cycle(color=plt.colormaps["tab20"].colors)
    for name, each in by_name(found).items():
        photos = [one.photos for one in each]
        for axes, values in (
            (left, [one.processor_s for one in each]),
            (right, [float(one.peak_mib) for one in each]),
        ):
            grows = f", slope {slope(photos, values):.2f}" if len(each) > 1 else ""
            axes.plot(photos, values, marker="o", label=name + grows)
    left.set(title="processor time", xlabel="photos", ylabel="seconds")
    right.set(title="peak memory", xlabel="photos", ylabel="MiB")
    for axes in (left, right):
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.grid(which="major", alpha=0.3)
        axes.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncol=2)
    # What hardly grows must not look as if it did.
    low, high = right.get_ylim()
    right.set_ylim(low / 3, high * 3)
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=110)
    plt.close(figure)
    return data.getvalue()


def page(found: Sequence[Measured]) -> str:
    """All of it as HTML."""
    picture = base64.b64encode(plot(found)).decode()
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<title>Fieldguide: how the split grows</title><link rel="icon" href="data:,">'
        "<style>body{font-family:sans-serif;max-width:70rem;margin:auto;padding:1rem}"
        "img{max-width:100%}pre{overflow-x:auto}</style></head><body>"
        "<h1>How the split grows with the photos</h1>"
        f'<img alt="Processor time and peak memory by number of photos, both axes logarithmic; '
        f'the table has the numbers" src="data:image/png;base64,{picture}">'
        f"<pre>{escape(table(found))}</pre></body></html>\n"
    )
