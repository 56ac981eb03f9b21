"""What `python -m tests.bench.faults` asks and counts."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from device.errors import UsageError
from device.workstation.faults.catalogue import FAULTS, Strength
from device.workstation.training import Part
from tests.bench import faults
from tests.bench.faults import FLOAT, Answers, asked, by_fault, lost_share, table
from tests.support.builds import tiny_network

CASES = [(fault, Strength.MEDIUM) for fault in FAULTS if fault.name in ("bands", "rotation")]


@pytest.fixture(name="base", scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of this process, for what it makes only once."""
    return tmp_path_factory.getbasetemp()


def answers(lost: int, splits: tuple[int, ...] = (0,) * 40) -> Answers:
    """Of 40 photos, two of each event: all right without a fault, `lost` wrong under either."""
    right = np.ones((40, 3), bool)
    right[:lost, 1:] = False
    return Answers(right, tuple(f"e{k // 2}" for k in range(40)), splits)


def test_what_faults_cost_is_a_share_of_what_they_cost_the_other() -> None:
    found = lost_share(answers(4), answers(8))
    assert found is not None and found.mean == pytest.approx(0.5) and found.error > 0
    same = lost_share(answers(8), answers(8))
    assert same is not None and (same.mean, same.error) == (1, 0)


def test_tables_have_a_row_of_all_splits_and_one_of_each_and_of_each_fault() -> None:
    splits = (0,) * 20 + (1,) * 20
    one, other = answers(4, splits), answers(8, splits)
    head, _, whole, first, second = table(FLOAT, one, other).splitlines()
    assert head.startswith("| float | n ") and "mean of 2 faults" in head
    assert whole.startswith("| all | 40 | 100.00% | +0.00 (+0.00 to +0.00) | 90.00% | +10.00 (")
    assert "| 10.00 | 20.00 | 0.50 (" in whole
    assert first.startswith("| split 0 | 20 ") and "| 20.00 | 40.00 | 0.50 (" in first
    assert second.startswith("| split 1 | 20 ") and second.endswith("| 0.00 | 0.00 |  |")
    rows = by_fault(CASES, {FLOAT: (one, other)}).splitlines()[2:]
    assert len(rows) == 2
    assert all("| 90.00% | 80.00% | +10.00 (" in row for row in rows)


def test_the_same_photos_are_asked_about_as_they_are_and_under_each_fault(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, models = tiny_network.tiny_training(base), tiny_network.tiny_models(base)
    photos = whole.photos[Part.VAL]
    monkeypatch.setattr(faults, "read_training", lambda folder: whole)
    monkeypatch.setattr(faults, "_float", lambda training: models["model_float32.tflite"])
    builds = [Path("one")], [Path("other")]
    one, other = asked(*builds, Part.VAL, CASES)[FLOAT]
    assert one.right.shape == (len(photos), 3) and (one.right == other.right).all()
    assert one.right[:, 0].all() and one.events == tuple(photo.event for photo in photos)


def test_recipes_on_other_splits_are_not_compared(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = tiny_network.tiny_training(base)
    fewer = replace(whole, photos={Part.VAL: whole.photos[Part.VAL][1:]})
    found = {Path("one/train"): whole, Path("other/train"): fewer}
    monkeypatch.setattr(faults, "read_training", found.__getitem__)
    with pytest.raises(UsageError, match="one and other are not on the same split"):
        asked([Path("one")], [Path("other")], Part.VAL, CASES)
