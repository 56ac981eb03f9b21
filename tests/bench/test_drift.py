"""What `make bench-drift` simulates and counts, and what its page tells."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from device.contract.accuracy import ScoreOffset
from device.drift.sample import CELLS
from tests.bench.drift import __main__ as command
from tests.bench.drift.__main__ import simulate
from tests.bench.drift.cached import Cached
from tests.bench.drift.conditions import ALL, all_shown
from tests.bench.drift.findings import Findings
from tests.bench.drift.lives import EXPECTED
from tests.bench.drift.worlds import FOREIGN, Cameras, World
from tests.support.html_page import Page
from tests.support.pictures import picture

CAMERAS, DAYS, CLASSES, PHOTOS, PLACES = 6, 35, 3, 12, 2


def made_up() -> Cached:
    """Facts and answers as plain as can be: blur halves the edges, and strangers are unknown."""
    chance = np.random.default_rng(0)
    light = np.array([2.0 ** -(c.level / 2) for c in ALL], np.float32)
    edges = np.array([0.3 if c.blurred else 1.0 for c in ALL], np.float32)
    one = np.stack([100 * light, 40 * light, 30 * light * edges, 0 * light + 0.05], axis=-1)
    facts = np.stack([one, one])
    layouts = chance.normal(0, 1, (2, PLACES, 1, CELLS)).repeat(len(ALL), axis=2)
    truth = np.arange(PHOTOS) % (CLASSES + 1) - 1
    scores = np.full((PHOTOS, len(ALL), CLASSES), 0.05, np.float32)
    for number, label in enumerate(truth):
        scores[number, :, max(int(label), 0)] = 0.9 if label >= 0 else 0.4
    return Cached(
        scores=scores,
        distance=np.where(truth >= 0, 0.0, 1.5)[:, None].repeat(len(ALL), 1).astype(np.float32),
        accepted=(truth >= 0)[:, None].repeat(len(ALL), 1),
        truth=truth,
        place_facts=np.stack([facts, facts]),
        place_layouts=layouts.astype(np.float32),
        labels=("daisy", "rose", "tulip"),
        model_sha256="ab" * 32,
    )


@pytest.fixture(scope="module")
def found() -> Findings:
    return simulate(made_up(), CAMERAS, DAYS, seed=1)


def test_faults_that_are_plain_are_found_in_time(found: Findings) -> None:
    assert set(found.found()) == {*EXPECTED, FOREIGN}
    assert set(found.found().values()) == {1.0}


def test_scores_that_are_wrong_by_little_estimate_the_accuracy_so(found: Findings) -> None:
    # All accepted answers are right, and say 90%.
    assert found.accuracy["bias"] == pytest.approx(-0.1, abs=0.001)
    assert found.accuracy["close"] == 0.0 and found.accuracy["told"] > 0.5


def test_an_offset_of_scores_moves_the_estimate(found: Findings) -> None:
    known = replace(made_up(), score_offset=ScoreOffset(0.09))
    moved = simulate(known, CAMERAS, DAYS, seed=1).accuracy
    assert moved["bias"] == pytest.approx(found.accuracy["bias"] + 0.09, abs=1e-6)
    assert (moved["close"], moved["close_by_scores_alone"]) == (1.0, 0.0)


def test_record_page_and_table_say_the_same(found: Findings) -> None:
    record, page = json.loads(json.dumps(found.record())), Page(found.page())
    assert record["cameras"] == CAMERAS and record["has_distance"]
    assert len(page.tables) == 1 and "blur: told within 3 days" in page.tables[0][4 - 1]
    assert "| blur: found within 3 days | >= 95% | 100.0% |" in found.table()


def test_no_goal_is_shown_where_none_was_set(found: Findings) -> None:
    (row,) = (row for row in Page(found.page()).tables[0] if row[0].startswith(FOREIGN))
    assert row[1] == ""
    assert f"| {FOREIGN} (rendered clutter): found within 3 days |  | 100.0% |" in found.table()


def test_all_photos_of_a_usual_test_part_are_replayed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked = []

    def noted(build: Path, file: Path, most: int, strangers: Path | None) -> Cached:
        asked.append(most)
        return made_up()

    monkeypatch.setattr(command, "cached", noted)
    assert command.main(["--out", str(tmp_path), "--cameras", "2", "--days", "35"]) == 0
    assert asked == [500]


def test_the_same_seed_gives_the_same_day() -> None:
    known = made_up()
    cameras = Cameras.drawn(3, known, np.random.default_rng(0))
    one, other = (World(cameras, known, 7).day(0) for _ in range(2))
    assert np.array_equal(one.counts, other.counts)
    assert not np.array_equal(one.counts, World(cameras, known, 8).day(0).counts)


def test_each_moment_of_a_day_is_counted_once() -> None:
    known = made_up()
    cameras = Cameras.drawn(3, known, np.random.default_rng(0))
    counts = World(cameras, known, 7).day(0).counts
    assert np.allclose(counts[:, :, 0].sum(axis=(1, 2)), 8640)


def test_conditions_do_to_a_photo_what_they_say() -> None:
    shown = dict(zip(ALL, all_shown(picture(0, 1, 224, 224), seed=0), strict=True))
    light = {condition: float(pixels.mean()) for condition, pixels in shown.items()}
    plain = [c for c in ALL if not (c.veiled or c.infrared or c.blurred)]
    levels = [light[c] for c in plain[1:6]]
    assert levels == sorted(levels, reverse=True)
    assert levels[2] == pytest.approx(levels[0] / 2, rel=0.1)
    night = next(c for c in ALL if c.infrared)
    assert np.abs(np.diff(shown[night].astype(int), axis=2)).mean() < 5
