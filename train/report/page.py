"""Renders the training report: one self-contained HTML page from the metrics and the chapter.

The same metrics, photos and chapter give the same page, so it has no date and no random id. Of a
network, only the times of its layers differ from run to run.
"""

import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib.style
from jinja2 import Environment
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from device.contract.arrays import Pixels
from device.errors import PhotoError
from device.workstation.plot_style import FIRST, INK, SAVING, SECOND, STYLE, inline
from device.workstation.training import LEFT_OUT, Epoch, Metrics, Mistake, Part
from train.data.split import Row
from train.page import pictures
from train.page.pictures import Picture
from train.page.templates import PART_NAMES, page_environment
from train.report.boxes import Boxes
from train.report.chapter_records import Chapter
from train.report.occasions import Occasions

TEMPLATE = "report.html.j2"
PICTURE_PX = 320
"""Longest side of a picture on the page."""
SAMPLES_SHOWN = 24
"""Sample photos on the page, spread over the classes, at least one of each."""
SAMPLES_PER_CLASS = 4
SAMPLE_PX = 160
LEFT_OUT_SHOWN = 20
NOTES_SHOWN = 20
CONFUSIONS_NAMED = 3
UPRIGHT_FROM_CLASSES = 8
"""With this many classes or more, the column heads of the confusion matrix are vertical."""

CONTENTS = (
    ("figures", "Key figures"),
    ("data", "Data"),
    ("classes", "By class"),
    ("confusion", "Confusion"),
    ("curves", "Curves"),
    ("mistakes", "Mistakes"),
    ("quantization", "Quantization"),
    ("network", "How the network sees"),
    ("settings", "Settings"),
)
STEPS = (
    ("why", "Why convolution"),
    ("convolution", "What convolution is"),
    ("kernels", "Kernels"),
    ("padding", "Padding and stride"),
    ("pooling", "Pooling"),
    ("architecture", "Architecture"),
    ("hierarchy", "Edges to objects"),
    ("parameters", "Key parameters"),
    ("transfer", "Transfer learning"),
    ("classmap", "Class map and softmax"),
    ("takeaways", "What to take away"),
)
"""Sections of the page by id, and those of the chapter on the network."""

PLOT_INCHES = (4.8, 3.0)


@dataclass(frozen=True)
class _Cell:
    """One cell of the confusion matrix."""

    count: int
    right: bool
    opacity: float
    """Of its shade, 0 to 1."""


@dataclass(frozen=True)
class _Mistake:
    """One wrongly classified test photo."""

    path: str
    label: str
    predicted: str
    score: float
    picture: Picture | None
    """None if the photo cannot be shown."""
    problem: str


def render(
    metrics: Metrics,
    rows: Sequence[Row],
    load: Callable[[str], Pixels],
    chapter: Chapter,
    boxes: Boxes,
) -> str:
    """Write the report of one training run.

    Args:
        metrics: as `train.recipe.fit.run` returns them.
        rows: the split, including the photos left out.
        load: gives the pixels, uint8 (h, w, 3), of a photo by its path in the data folder; a
            `PhotoError` from it leaves a placeholder.
        chapter: the chapter on the network.
        boxes: where photos are cut.

    Returns:
        An HTML page that needs no other file, no script and no network.
    """
    confusion = metrics.test.confusion
    rendered = metrics.data.kind == "rendered"
    changes = metrics.weight_change
    return (
        _environment()
        .get_template(TEMPLATE)
        .render(
            vars(metrics),
            rendered=rendered,
            contents=CONTENTS,
            steps=STEPS,
            what="pictures" if rendered else "photos",
            thing="picture" if rendered else "photo",
            c=chapter,
            boxes=boxes,
            occasions=Occasions.of(metrics.data),
            samples=_samples(metrics.labels, rows, load),
            left_out=[row for row in rows if row.part == LEFT_OUT],
            left_out_shown=LEFT_OUT_SHOWN,
            notes_shown=NOTES_SHOWN,
            training_photos=metrics.training_photos,
            fine_tuned=metrics.best_epoch > 0,
            largest_change=max(changes.values(), default=0),
            parts=[(name, PART_NAMES[name]) for name in (*Part, LEFT_OUT)],
            never_predicted=_never_predicted(metrics.labels, confusion),
            matrix=_matrix(confusion),
            upright=len(metrics.labels) >= UPRIGHT_FROM_CLASSES,
            confusions=_confusions(metrics.labels, confusion),
            epochs_finished=metrics.history[-1].epoch,
            plots=_plots(metrics.history, metrics.best_epoch),
            wrong=_wrong(confusion),
            mistakes=[_mistake(record, load) for record in metrics.test.mistakes],
            settings=list(_flat(asdict(metrics.config))),
        )
    )


@cache
def _environment() -> Environment:
    templates = page_environment(Path(__file__).parent)
    templates.filters |= {
        "percent": _percent,
        "whole": _whole,
        "count": _count,
        "large": _large,
        "minus": _minus,
    }
    return templates


def _percent(share: float) -> str:
    return f"{share:.1%}"


def _whole(share: float) -> str:
    """For estimates, which no decimal describes."""
    return f"{share:.0%}"


def _count(number: float) -> str:
    return f"{number:,}"


def _large(number: float) -> str:
    """To three digits, in millions or billions; smaller numbers as they are."""
    for size, name in ((1e9, "billion"), (1e6, "million")):
        if number >= size:
            return f"{number / size:.{1 if number >= 100 * size else 2}f} {name}"
    return _count(number)


def _minus(number: str) -> str:
    """With a typographic minus sign, but none before a zero."""
    return (number if float(number) else number.removeprefix("-")).replace("-", "−")


def _never_predicted(labels: Sequence[str], confusion: Sequence[Sequence[int]]) -> set[str]:
    """Classes without a precision: no photo was assigned to them."""
    columns = zip(labels, zip(*confusion, strict=True), strict=True)
    return {label for label, column in columns if not sum(column)}


def _wrong(confusion: Sequence[Sequence[int]]) -> int:
    return sum(sum(row) - row[i] for i, row in enumerate(confusion))


def _matrix(confusion: Sequence[Sequence[int]]) -> list[list[_Cell]]:
    return [
        [_Cell(count, i == j, _opacity(count, sum(row))) for j, count in enumerate(row)]
        for i, row in enumerate(confusion)
    ]


def _opacity(count: int, total: int) -> float:
    # The root makes rare confusions visible, which are what readers look for.
    return round(0.75 * (count / total) ** 0.5, 2) if count else 0.0


def _confusions(
    labels: Sequence[str], confusion: Sequence[Sequence[int]]
) -> list[tuple[str, str, int]]:
    """The most frequent ones as (true class, predicted class, photos)."""
    found = [
        (labels[i], labels[j], count)
        for i, row in enumerate(confusion)
        for j, count in enumerate(row)
        if i != j and count
    ]
    return sorted(found, key=lambda item: -item[2])[:CONFUSIONS_NAMED]


def _mistake(record: Mistake, load: Callable[[str], Pixels]) -> _Mistake:
    picture, problem = None, ""
    try:
        picture = pictures.photo(load(record.path), PICTURE_PX)
    except PhotoError as error:
        problem = str(error)
    return _Mistake(
        path=record.path,
        label=record.label,
        predicted=record.predicted,
        score=record.score,
        picture=picture,
        problem=problem,
    )


def _samples(
    labels: Sequence[str], rows: Sequence[Row], load: Callable[[str], Pixels]
) -> list[tuple[str, list[Picture]]]:
    """Some training photos of each class, chosen by hash and so always the same."""
    each = min(SAMPLES_PER_CLASS, max(1, SAMPLES_SHOWN // len(labels)))
    shown = sorted((row for row in rows if row.part == Part.TRAIN), key=lambda row: row.sha256)
    found: dict[str, list[Picture]] = {label: [] for label in labels}
    for row in shown:
        if len(found[row.label]) < each:
            with suppress(PhotoError):
                found[row.label].append(pictures.photo(load(row.path), SAMPLE_PX))
    return list(found.items())


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested settings as (dotted name, value) pairs."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value if isinstance(value, str) else json.dumps(value)


def _plots(history: Sequence[Epoch], best_epoch: int) -> list[Markup]:
    """The learning curves as SVG elements; an empty list if only the head was trained."""
    if len(history) < 2:
        return []

    def losses(axes: Axes) -> None:
        _line(axes, history, lambda epoch: epoch.train_loss, "training", FIRST, "--")
        _line(axes, history, lambda epoch: epoch.val_loss, "validation", SECOND, "-")

    def accuracy(axes: Axes) -> None:
        _line(axes, history, lambda epoch: epoch.val_accuracy, "validation", SECOND, "-")
        axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.4g}%")

    return [
        _plot("Loss over epochs", losses, best_epoch),
        _plot("Validation accuracy over epochs", accuracy, best_epoch),
    ]


def _line(
    axes: Axes,
    history: Sequence[Epoch],
    value: Callable[[Epoch], float | None],
    label: str,
    colour: str,
    style: str,
) -> None:
    # Before the first epoch there is no training loss.
    found = [(epoch.epoch, value(epoch)) for epoch in history]
    points = [(number, y) for number, y in found if y is not None]
    epochs, values = [x for x, _ in points], [y for _, y in points]
    axes.plot(
        epochs, values, label=label, color=colour, linestyle=style, marker="o", markersize=3.5
    )


def _plot(title: str, draw: Callable[[Axes], None], best_epoch: int) -> Markup:
    with matplotlib.style.context(["default", {**STYLE, "svg.hashsalt": title}]):
        figure = Figure(figsize=PLOT_INCHES, layout="constrained")
        axes = figure.subplots()
        draw(axes)
        axes.axvline(best_epoch, color=INK, linewidth=1, linestyle=":", label="kept epoch")
        axes.set_xlabel("epoch (0 = head only)")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.tick_params(length=0)
        axes.legend()
        buffer = io.StringIO()
        figure.savefig(buffer, **SAVING)
    # The SVG contains only this module's own texts, so it is safe as markup.
    return Markup(inline(buffer.getvalue(), title))
