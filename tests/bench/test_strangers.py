"""What `python -m tests.bench.strangers` makes of features."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from device.inference.classifier import Prediction
from tests.bench.strangers import shipped
from tests.bench.strangers.table import Run, by_class, table
from tests.bench.strangers.ways import DEFAULT, HELD_OUT, STRANGE, WAYS, Shown, judge

FEATURES, CLASSES, LEFT_OUT = 24, 3, 1


def seen(alike: bool) -> dict[str, Any]:
    """Photos of three classes, one of which was left out and looks like another, or like none."""
    rng = np.random.default_rng(0)
    looks = np.eye(FEATURES)[[0, 0 if alike else 2, 1]]
    found: dict[str, Any] = {"left_out": np.array(LEFT_OUT), "bias": np.zeros(2, np.float32)}
    found["kernel"] = 9 * np.eye(FEATURES, 2, dtype=np.float32)
    truth = np.repeat(np.arange(CLASSES), 60)
    for part in ("train", "val", "test"):
        noise = rng.normal(0, 0.05, (len(truth), FEATURES))
        found |= shown(part, np.abs(looks[truth] + noise))
        found[f"truth_{part}"] = truth
        found[f"events_{part}"] = np.array([f"{part} {number}" for number in range(len(truth))])
    # The first two classes that are known, and nothing of either.
    found |= shown("mixed", np.abs(looks[[0, 2] * 20] + looks[[2, 0] * 20]) / 2)
    return found | shown("rendered", np.abs(rng.normal(0, 0.5, (40, FEATURES))))


def shown(part: str, features: Any) -> dict[str, Any]:
    features = features.astype(np.float32)
    logits = 9 * features[:, :2]
    wide = np.repeat(logits[:, np.newaxis], 4, axis=1).reshape(-1, 2, 2, 2)
    return {f"features_{part}": features, f"middle_{part}": features, f"map_{part}": wide}


def test_what_looks_like_no_class_is_turned_away_and_what_looks_like_one_is_not() -> None:
    other, like = (judge(Shown("fern", seen(alike)), DEFAULT) for alike in (False, True))
    assert other.away[STRANGE].all() and other.areas[STRANGE] == 1
    assert like.away[STRANGE].mean() < 0.2 and like.areas[STRANGE] < 0.6
    assert len(other.away[STRANGE]) == 180 and len(other.away[HELD_OUT]) == 60
    assert other.away["test"].mean() < 0.15 and other.away["rendered"].mean() > 0.5
    assert "other" not in other.away


def test_the_photos_of_the_class_that_was_left_out_teach_and_limit_nothing() -> None:
    whole, changed = seen(alike=False), seen(alike=False)
    own = changed["truth_train"] == LEFT_OUT
    for what in ("features_train", "features_val", "middle_train", "middle_val", "map_val"):
        changed[what][own] += 3
    for way in WAYS:
        one, other = (judge(Shown("fern", arrays), way) for arrays in (whole, changed))
        assert (one.away["test"] == other.away["test"]).all(), way.name


@pytest.mark.parametrize("way", WAYS, ids=[way.name for way in WAYS])
def test_every_way_keeps_most_known_photos(way: Any) -> None:
    assert judge(Shown("fern", seen(alike=True)), way).away["test"].mean() < 0.2


def test_a_row_for_each_class_and_each_way_beside_the_default(tmp_path: Path) -> None:
    np.savez(tmp_path / "fern.npz", **seen(alike=False))
    np.savez(tmp_path / "moss.npz", **seen(alike=True))
    (tmp_path / "moss.state.npz").write_bytes(b"")
    run = Run.read(tmp_path)
    assert [shown.name for shown in run.networks] == ["fern", "moss"]
    assert "| fern (n = 180) | " in by_class(run) and "| 100.0% |" in by_class(run)
    lines = table([run], [run]).splitlines()
    assert len(lines) == 2 + len(WAYS) and "+0.0 (-" in lines[2]
    fern = Run.read(tmp_path, ["fern"])
    assert len(fern.networks) == 1


@pytest.mark.parametrize(("share", "expected"), [(1.0, 5.0), (0.75, 4.0), (0.0, 1.0)])
def test_of_what_training_has_changed_a_share_is_left(share: float, expected: float) -> None:
    import keras

    from tests.bench.strangers.networks import go_back

    trained = [keras.Variable(np.full(2, 5.0, np.float32)), keras.Variable(np.float32(5.0))]
    go_back(trained, [np.ones(2, np.float32), np.array(1.0, np.float32)], share)
    assert [np.asarray(one).tolist() for one in trained] == [[expected, expected], expected]


def answered(*distances: float) -> shipped.Seen:
    """Pictures of one event each; the nearer, the higher the score."""
    found = [
        Prediction(("fern", "moss"), np.array([1 / (1 + one), 0], np.float32), one, 1.0)
        for one in distances
    ]
    return shipped.Seen(tuple(found), tuple(map(str, range(len(found)))))


def test_of_bundles_known_photos_are_kept_and_others_turned_away_at_their_own_limits() -> None:
    one = shipped.Asked(answered(0, 0.5, 1, 1.2), (answered(1.1, 0.9), answered(3, 4)))
    other = shipped.Asked(answered(0, 0, 0, 0), (answered(2, 2), answered(2, 0)))
    lines = shipped.table(["a", "b"], [one, other]).splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    assert {len(row) for row in rows} == {8}
    shares = [[row[column].split()[0] for column in (1, 2, 5)] for row in rows[2:]]
    assert shares == [
        ["75.0%", "50.0%", "100.0%"],
        ["100.0%", "100.0%", "50.0%"],
        ["87.5%", "75.0%", "75.0%"],
    ]
    assert "n = 8" in rows[4][1] and "n = 4" in rows[4][2]
    # Of the four known photos one is farther than both others, another than one of them.
    assert rows[2][3].startswith("0.625 (") and rows[2][6].startswith("1.000 (")
