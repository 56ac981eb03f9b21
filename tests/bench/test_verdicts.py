"""What `python -m tests.bench.verdicts` asks and counts."""

from pathlib import Path

import numpy as np

from convert.verify.clutter import clutter
from device.contract.bundle import load
from tests.bench.verdicts.__main__ import STRANGER, Answers, table
from tests.bench.verdicts.ask import DEFAULT, PLAIN, ask
from tests.support.device.tiny_bundle import TAR

PICTURES = 40


def answers(name: str, label: list[int], distance: list[float]) -> Answers:
    away = np.array(distance)
    raw = {"raw_features": np.round(100 * away[:, np.newaxis]).astype(np.int8)}
    return Answers(name, np.array(label), away > 1, away, raw)


def test_each_runtime_is_compared_with_the_first() -> None:
    truth = np.array([0, 1, 2, STRANGER])
    first = answers("one", [0, 1, 0, 0], [0.0, 0.98, 0.5, 1.02])
    other = answers("two", [0, 1, 2, 0], [0.0, 1.01, 0.5, 1.02])
    head, *_, same, differs = table([first, other], truth).splitlines()
    assert head == "3 test photos and 1 rendered pictures; 1 are unknown"
    assert "| 66.67% | +0.00" in same and "| 0 of 4 | 0 of 4" in same
    cells = [cell.strip() for cell in differs.split("|")[1:-1]]
    assert cells[:2] == ["two", "100.00%"] and cells[2].startswith("+33.33 (")
    assert cells[3] == "1 of 4" and cells[4].startswith("1 of 4 (")
    assert cells[5:] == ["1", "25.0%", "0.000, 0.030", "0.020"]


def test_other_kernels_of_one_runtime_write_other_bytes(tmp_path: Path) -> None:
    rules = load(TAR).preprocessing
    size = (rules.height_px, rules.width_px)
    shown = np.stack([clutter(number, size) for number in range(PICTURES)])
    for name in (DEFAULT, PLAIN):
        ask(TAR, shown, name, tmp_path / f"{name}.npz")
    own, plain = (np.load(tmp_path / f"{name}.npz") for name in (DEFAULT, PLAIN))
    assert own["runtime"] == plain["runtime"] and own["label"].shape == (PICTURES,)
    assert (own["raw_class_map"] != plain["raw_class_map"]).any()
    assert np.isfinite(own["distance"]).all() and own["unknown"].dtype == bool
