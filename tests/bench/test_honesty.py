"""What the benchmark of honesty says of worlds, whatever was measured in them."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from tests.bench.honesty.draws import TAUGHT, at_random, neighbours, series
from tests.bench.honesty.judge import Claim, Outcome
from tests.bench.honesty.summary import Findings

HONEST = Claim(0.8, (0.7, 0.9), 0.78, 180)
WORLD = Outcome(
    world="00",
    exif=True,
    events=60,
    found_events=60,
    torn=0,
    places=5,
    found_places=5,
    same=HONEST,
    held_out=None,
    new=None,
)


def _worlds(count: int) -> list[Outcome]:
    return [replace(WORLD, world=f"{number:02d}") for number in range(count)]


def test_one_world_has_no_interval_of_worlds_and_its_record_is_plain_json() -> None:
    found = Findings.of([WORLD, WORLD], [])
    (summary,) = json.loads(json.dumps(asdict(found), allow_nan=False))["summaries"]
    assert summary["interval"] is None and summary["worlds"] == 1
    assert "one world" in found.table() and "one world" in found.page()


def test_seeds_of_a_world_do_not_count_as_worlds() -> None:
    outcomes = [*_worlds(2), replace(WORLD, same=replace(HONEST, reported=0.9))]
    (summary,) = Findings.of(outcomes, []).summaries
    assert summary.worlds == 2
    assert summary.off == pytest.approx((0.02 + (0.02 + 0.12) / 2) / 2)


def test_worlds_without_the_right_time_are_counted_beside_those_with_it() -> None:
    torn = replace(WORLD, world="01", exif=False, torn=3)
    right, without = Findings.of([WORLD, torn], []).torn
    assert (right.torn, right.events) == (0, 60) and (without.torn, without.events) == (3, 60)


def test_the_page_shows_each_world_and_what_the_default_recipe_reports() -> None:
    trained = replace(WORLD, world="world7", new=replace(HONEST, true=0.35))
    page = Findings.of(_worlds(3), [trained]).page()
    assert all(f">{name}</th>" in page for name in ("00", "01", "02", "world7"))
    assert "default recipe, int8, new places" in page and "<td>35</td>" in page


def test_uploads_of_near_numbers_are_one_series_whatever_their_order() -> None:
    found = series({0: 112428665, 1: 12240303, 2: 112428919, 3: 112650879, 4: 112651128})
    assert found[0] == found[2] and found[3] == found[4]
    assert len(set(found.values())) == 3


def test_what_tells_the_truth_is_of_no_photo_that_teaches_nor_its_neighbour() -> None:
    for taught, truth in neighbours():
        assert np.abs(taught[:, None] - truth).min() >= TAUGHT
    for taught, truth in at_random(3):
        assert not set(taught) & set(truth) and len(taught) == TAUGHT
