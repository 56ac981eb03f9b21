"""What all scenes say together: figures, goals, a table, a record and a page."""

import base64
import io
import itertools
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import matplotlib.style
import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image, ImageDraw

from device.workstation.plot_style import FIRST, INK, SAVING, SECOND, STYLE, inline
from device.workstation.templates import STYLES, environment
from tests.bench.look.judge import CLOSE, Frame, Judged

TEMPLATE = "look.html.j2"
PLOT_INCHES = (4.6, 3.2)
FRAMES_SHOWN = 24
FRAME_PX = 360
FOUND_COLOUR, TRUE_COLOUR = (255, 60, 40), (60, 255, 90)
DAY_H = 24
REAL = "real places"
GOALS = {"found": 0.98, "close": 0.90, "false_a_day": 4.0}
HEIGHTS = (1 / 8, 0.18, 0.25, 0.35, 0.5)


@dataclass(frozen=True)
class Figures:
    """Of one scene, or of several together."""

    name: str
    visits: int
    found: int
    close: float
    """The share of frames at rest whose box overlaps by at least half."""
    median: float
    """Of the overlaps of those frames."""
    empty_hours: float
    false_visits: int
    boxed_frames: float
    """The share of empty frames with a box."""
    false_among: int
    """Visits in the visited films that no visitor explains."""

    @property
    def false_a_day(self) -> float:
        """False visits in 24 hours of empty footage."""
        return self.false_visits * DAY_H / self.empty_hours if self.empty_hours else 0.0

    @classmethod
    def of(cls, name: str, scenes: Sequence[Judged]) -> "Figures":
        """Of scenes together."""
        visits = [visit for scene in scenes for visit in scene.visits]
        overlaps = np.array([v for visit in visits for v in visit.overlaps] or [0.0])
        return cls(
            name,
            len(visits),
            sum(visit.found for visit in visits),
            float(np.mean(overlaps >= CLOSE)),
            float(np.median(overlaps)),
            sum(scene.empty_hours for scene in scenes),
            sum(scene.false_visits for scene in scenes),
            float(np.mean([scene.boxed_frames for scene in scenes])),
            sum(scene.false_among for scene in scenes),
        )


@dataclass(frozen=True)
class Findings:
    """Of a whole run."""

    scenes: tuple[Judged, ...]
    missing: dict[str, str]
    """Which real footage could not be had, and why."""

    def together(self) -> list[Figures]:
        """Kinds of films, and all."""
        kinds: dict[str, list[Judged]] = {"drawn": [], "H.264": [], REAL: []}
        for scene in self.scenes:
            kinds[_kind(scene)].append(scene)
        parts = {**kinds, "all": self.scenes}
        return [Figures.of(name, scenes) for name, scenes in parts.items() if scenes]

    def by_scene(self) -> list[Figures]:
        """Each disturbance, drawn places together."""
        names = dict.fromkeys(scene.scene for scene in self.scenes)
        return [Figures.of(n, [s for s in self.scenes if s.scene == n]) for n in names]

    def record(self) -> dict[str, Any]:
        """All figures, for a JSON file."""
        scenes = []
        for scene in self.scenes:
            scenes.append({**asdict(Figures.of(scene.scene, [scene])), "seen": scene.seen})
        together = [{**asdict(f), "false_a_day": f.false_a_day} for f in self.together()]
        return {"goals": GOALS, "together": together, "scenes": scenes, "missing": self.missing}

    def table(self) -> str:
        """The figures to read, in Markdown."""
        lines = [
            "| films | visits found | overlap >= 0.5, % of frames | median | empty hours "
            f"| false visits | in 24 h | false among visits |\n|{'---|' * 8}"
        ]
        for f in (*self.together(), *self.by_scene()):
            lines.append(
                f"| {f.name} | {f.found} of {f.visits} | {100 * f.close:.1f} | {f.median:.2f} "
                f"| {f.empty_hours:.1f} | {f.false_visits} | {f.false_a_day:.1f} "
                f"| {f.false_among} |"
            )
        lines += [f"\nmissing: {name}: {why}" for name, why in self.missing.items()]
        return "\n".join(lines)

    def page(self) -> str:
        """A page with curves and the worst frames."""
        plots = {
            "How well boxes lie": _drawn(_overlap_curve, self.scenes),
            "Visits found, by height": _drawn(_by_height, self.scenes),
            "False visits": _drawn(_false_bars, self.scenes),
        }
        worst = sorted((f for s in self.scenes for f in s.worst), key=lambda frame: frame.overlap)
        template = environment(Path(__file__).parent, STYLES).get_template(TEMPLATE)
        return template.render(
            found=self, goals=GOALS, plots=plots, frames=[_shown(f) for f in worst[:FRAMES_SHOWN]]
        )


def _kind(scene: Judged) -> str:
    place, comma, _ = scene.scene.partition(", ")
    return "drawn" if not comma else place if place == "H.264" else REAL


# --- plots ------------------------------------------------------------------------------------


def _drawn(draw: Callable[[Axes, Sequence[Judged]], str], scenes: Sequence[Judged]) -> Markup:
    with matplotlib.style.context(dict(STYLE)):
        figure = Figure(figsize=PLOT_INCHES, layout="constrained")
        title = draw(figure.add_subplot(), scenes)
        text = io.StringIO()
        figure.savefig(text, **SAVING)
    return Markup(inline(text.getvalue(), title))


def _overlap_curve(axes: Axes, scenes: Sequence[Judged]) -> str:
    """The share of frames at rest whose box overlaps by at least so much."""
    at = np.linspace(0, 1, 101)
    for label, colour, some in (
        ("drawn and H.264", FIRST, [s for s in scenes if _kind(s) != REAL]),
        (REAL, SECOND, [s for s in scenes if _kind(s) == REAL]),
    ):
        overlaps = np.array([o for s in some for v in s.visits for o in v.overlaps])
        if len(overlaps):
            shares = [100 * np.mean(overlaps >= least) for least in at]
            axes.plot(at, shares, color=colour, label=label)
    axes.plot([CLOSE], [100 * GOALS["close"]], "o", color=INK, label="goal")
    axes.set(xlim=(0, 1), ylim=(0, 101), xlabel="overlap at least", ylabel="frames at rest, %")
    axes.legend(loc="lower left")
    return "share of frames by overlap"


def _by_height(axes: Axes, scenes: Sequence[Judged]) -> str:
    visits = [visit for scene in scenes for visit in scene.visits]
    labels, shares = [], []
    for low, high in itertools.pairwise(HEIGHTS):
        some = [visit.found for visit in visits if low <= visit.height < high]
        labels.append(f"{100 * low:.0f}-{100 * high:.0f}")
        shares.append(100 * float(np.mean(some)) if some else 0.0)
    axes.bar(labels, shares, color=FIRST, width=0.6)
    axes.axhline(100 * GOALS["found"], color=INK, linewidth=0.8)
    axes.set(ylim=(0, 101), xlabel="height, % of the frame's", ylabel="visits found, %")
    return "visits found by height of the subject"


def _false_bars(axes: Axes, scenes: Sequence[Judged]) -> str:
    names = list(dict.fromkeys(scene.scene for scene in scenes))
    figures = [Figures.of(n, [s for s in scenes if s.scene == n]) for n in names]
    figures = sorted((f for f in figures if f.false_visits), key=lambda f: f.false_a_day)[-8:]
    axes.barh([f.name for f in figures], [f.false_a_day for f in figures], color=FIRST)
    axes.axvline(GOALS["false_a_day"], color=INK, linewidth=0.8)
    # Room, so that the last number is not cut off.
    axes.set(xlabel="false visits in 24 h of such footage")
    axes.set_xlim(right=1.15 * axes.get_xlim()[1])
    return "false visits by film"


# --- frames -----------------------------------------------------------------------------------


def _shown(frame: Frame) -> dict[str, str]:
    """A picture with boxes, and what it shows."""
    image = Image.fromarray(frame.pixels)
    scale = FRAME_PX / image.width
    image = image.resize((FRAME_PX, round(image.height * scale)))
    draw = ImageDraw.Draw(image)
    for boxes, colour in ((frame.true, TRUE_COLOUR), (frame.found, FOUND_COLOUR)):
        for box in boxes:
            draw.rectangle([round(scale * side) for side in box], outline=colour, width=2)
    data = io.BytesIO()
    image.save(data, "JPEG", quality=80)
    how = "a false visit" if frame.overlap < 0 else f"overlap {frame.overlap:.2f}"
    return {
        "data": base64.b64encode(data.getvalue()).decode(),
        "text": f"{frame.scene}, {frame.at_s:.0f} s: {how}",
    }
