"""A report read as a browser would."""

from collections.abc import Callable
from dataclasses import dataclass, field
from html.parser import HTMLParser

import numpy as np

from device.contract.arrays import Pixels
from device.workstation.training import Metrics
from tests.support.builds.small_networks import chapter_of
from train.data.split import Row
from train.report import page
from train.report.boxes import Boxes

WHOLE = Boxes()
"""No photo is cut."""
VOID = {"br", "col", "hr", "img", "input", "link", "meta", "wbr"}
"""Tags that nothing closes."""
FLOWERS = ("daisy", "rose", "tulip")
HOSTILE = '<script>alert("x")</script> & <b>co</b>'


@dataclass
class Page(HTMLParser):
    """What a browser would find in the page."""

    tags: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    tables: list[list[list[str]]] = field(default_factory=list)
    fields: dict[str, str] = field(default_factory=dict)
    """What elements with data-field hold, in the order of the page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags, self.texts, self.tables, self.fields = [], [], [], {}
        self._open: list[tuple[str, str]] = []
        self._hidden = self._in_cell = False
        self.feed(html)
        self.close()
        self.fields = {name: " ".join(text.split()) for name, text in self.fields.items()}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        self._enter(tag, dict(attrs).get("data-field") or "")
        self._hidden = tag == "style"
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
            self._in_cell = True

    def handle_endtag(self, tag: str) -> None:
        self._hidden = False
        while self._open and self._open.pop()[0] != tag:
            pass
        if tag in ("td", "th"):
            self._in_cell = False

    def handle_data(self, data: str) -> None:
        if self._hidden:
            return
        self.texts.append(data)
        for _, name in self._open:
            if name:
                self.fields[name] += data
        if self._in_cell:
            self.tables[-1][-1][-1] += data

    def _enter(self, tag: str, field: str) -> None:
        if tag not in VOID:
            self._open.append((tag, field))
        if field:
            self.fields[field] = ""

    @property
    def text(self) -> str:
        return " ".join("".join(self.texts).split())

    def named(self, tag: str) -> list[dict[str, str]]:
        return [attrs for name, attrs in self.tags if name == tag]

    @property
    def mistakes(self) -> list[dict[str, str]]:
        return [img for img in self.named("img") if ", taken for " in img["alt"]]

    def table(self, first_cell: str, number: int = 0) -> list[list[str]]:
        return [table for table in self.tables if table[0][0].startswith(first_cell)][number]


def load(path: str) -> Pixels:
    value = sum(path.encode()) % 256
    return np.full((40, 60, 3), value, np.uint8)


def rows_of(metrics: Metrics) -> list[Row]:
    parts = ("train",) * 6 + ("test", "left_out")
    return [
        Row(f"{label}/{i}.jpg", label, part, f"{i:064x}", f"{i:012x}", "damaged <b>" * (i == 7))
        for label in metrics.labels
        for i, part in enumerate(parts)
    ]


def render(metrics: Metrics, load: Callable[[str], Pixels], boxes: Boxes = WHOLE) -> str:
    return page.render(metrics, rows_of(metrics), load, chapter_of(), boxes)


def page_of(metrics: Metrics, boxes: Boxes = WHOLE) -> Page:
    return Page(render(metrics, load, boxes))
