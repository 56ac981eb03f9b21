"""A report read as a browser would, and metrics to make one from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

import numpy as np

from device.contract.arrays import Pixels
from tests.support.small_networks import chapter_of
from train.data.split import Row
from train.report import page

FLOWERS = ("daisy", "rose", "tulip")
HOSTILE = '<script>alert("x")</script> & <b>co</b>'


@dataclass
class Page(HTMLParser):
    """What a browser would find in the page."""

    tags: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    tables: list[list[list[str]]] = field(default_factory=list)

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags, self.texts, self.tables = [], [], []
        self._hidden = self._in_cell = False
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
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
        if tag in ("td", "th"):
            self._in_cell = False

    def handle_data(self, data: str) -> None:
        if self._hidden:
            return
        self.texts.append(data)
        if self._in_cell:
            self.tables[-1][-1][-1] += data

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


def metrics_of(confusion: Sequence[Sequence[int]], labels: Sequence[str]) -> dict[str, Any]:
    """Metrics as `train.recipe.fit` makes them, for this result on the test part."""
    matrix = np.array(confusion)
    right, n = int(np.trace(matrix)), int(matrix.sum())
    pairs = [(i, j) for i, j in zip(*np.nonzero(matrix), strict=True) if i != j]
    per_class = []
    for i, label in enumerate(labels):
        precision = matrix[i, i] / max(1, matrix[:, i].sum())
        recall = matrix[i, i] / max(1, matrix[i].sum())
        f1 = 2 * precision * recall / max(1e-9, precision + recall)
        figures = {"precision": float(precision), "recall": float(recall), "f1": float(f1)}
        per_class.append({"label": label, "n": int(matrix[i].sum()), **figures})
    mistakes = [
        {
            "path": f"{labels[i]}/{number}.jpg",
            "label": labels[i],
            "predicted": labels[j],
            "score": 0.987 - 0.01 * number,
        }
        for number, (i, j) in enumerate(pairs[:24])
    ]
    parts = {"train": 1400, "val": 30, "test": 30, "left_out": 2}
    return {
        "data": {
            "kind": "photos",
            "name": "garden",
            "description": f"4,380 photos in {len(labels)} classes, folder 'garden'",
            "fingerprint": "ab" * 32,
            "counts": {label: dict(parts) for label in labels},
            "correlations": {"0.94": 4330, "0.997": 50},
            "edited_copies": 7,
        },
        "config": {
            "architecture": {"name": "mobilenet_v2", "alpha": 1.0, "size_px": 224},
            "epochs": 6,
            "first_trained_block": 13,
            "learning_rate": 3e-4,
            "label_smoothing": 0.1,
            "mixup": 0.2,
        },
        "weights_sha256": "cd" * 32,
        "labels": list(labels),
        "test": {
            "n": n,
            "accuracy": right / n,
            "interval": [0.8214, 0.9567],
            "per_class": per_class,
            "confusion": matrix.tolist(),
            "mistakes": mistakes,
        },
        "validation": {"n": 90, "accuracy": 0.9333, "head_only_accuracy": 0.8889},
        "history": [
            {"epoch": 0, "val_loss": 0.41, "val_accuracy": 0.8889},
            {"epoch": 1, "train_loss": 0.93, "val_loss": 0.37, "val_accuracy": 0.9111},
            {"epoch": 2, "train_loss": 0.85, "val_loss": 0.33, "val_accuracy": 0.9333},
        ],
        "best_epoch": 2,
        "weight_change": {"conv0": 0.0, "block_13": 0.02, "features": 0.01},
        "interrupted": False,
    }


def load(path: str) -> Pixels:
    value = sum(path.encode()) % 256
    return np.full((40, 60, 3), value, np.uint8)


def rows_of(metrics: dict[str, Any]) -> list[Row]:
    parts = ("train",) * 6 + ("test", "left_out")
    return [
        Row(f"{label}/{i}.jpg", label, part, f"{i:064x}", f"{i:012x}", "damaged <b>" * (i == 7))
        for label in metrics["labels"]
        for i, part in enumerate(parts)
    ]


def render(metrics: dict[str, Any], load: Callable[[str], Pixels]) -> str:
    return page.render(metrics, rows_of(metrics), load, chapter_of())


def page_of(metrics: dict[str, Any]) -> Page:
    return Page(render(metrics, load))
