"""Places that are hard to look at: a tree in the wind, a sky or a lamp that overexposes them."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from device.contract.look import light
from device.contract.look.cells import Grid
from device.contract.look.looker import Looker
from device.contract.look.rules import LookRules, Outcome
from tests.bench.look.judge import overlap, squared
from tests.support.films import Film, Picture, Shot, Visit, background, shots

RULES = LookRules()
SIZE_PX = (192, 144)
SKY = 255.0


def foliage(at_s: float) -> Picture:
    """Leaves that sway before a bright sky, of which there is more at one side."""
    rng = np.random.default_rng(8)
    leaves = rng.uniform(80, 150, (24, 32, 3)).astype(np.float32)
    leaves[rng.random((24, 32)) < 0.25] = 200
    sway = round(2 * np.sin(2.1 * at_s)), round(2 * np.sin(1.7 * at_s))
    shown: Picture = background(SIZE_PX, 31)
    shown[:100, 30:150] = np.roll(leaves.repeat(6, 0).repeat(6, 1), sway, (0, 1))[:100, 30:150]
    shown[:, 150:] = SKY
    return shown


def under_sky(at_s: float) -> Picture:
    """Most of the picture is an overexposed sky."""
    shown: Picture = background(SIZE_PX, 31)
    shown[:90] = SKY
    return shown


def bright(at_s: float) -> Picture:
    """A place that half a lamp overexposes."""
    picture: Picture = background(SIZE_PX, 13) * np.float32(1.5)
    return picture


def looked(film: Film) -> Iterator[tuple[Shot, Outcome, Looker]]:
    looker = Looker(RULES)
    for shot in shots(film):
        yield shot, looker.see(shot.pixels, shot.at_ms), looker


def best(shot: Shot, outcome: Outcome) -> float:
    wanted = squared(shot.boxes[0], SIZE_PX, RULES)
    return max((overlap(box, wanted) for box in outcome.boxes), default=0.0)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_visitor_before_leaves_that_never_rest_is_boxed(seed: int) -> None:
    film = Film(50, visits=(Visit(20, 50, 0.25, (0.4, 0.5), seed),), behind=foliage)
    rests = [best(shot, o) for shot, o, _ in looked(film) if 22_000 <= shot.at_ms < 48_000]
    assert np.mean(np.array(rests) >= 0.5) >= 0.9


def test_leaves_that_never_rest_are_no_subject() -> None:
    assert not any(outcome.boxes for _, outcome, _ in looked(Film(120, behind=foliage)))


def test_an_overexposed_sky_does_not_darken_the_background_bit_by_bit() -> None:
    *_, (shot, _, looker) = looked(Film(120, behind=under_sky))
    known, grid = looker.background, Grid.of(*SIZE_PX, RULES)
    assert known is not None
    gains = light.gains(grid.cells(shot.pixels), known.cells)
    assert np.abs(gains - light.ONE).max() <= light.ONE // 32


def test_a_lamp_that_overexposes_part_of_a_place_is_no_subject() -> None:
    film = Film(170, "lamp", behind=bright)
    assert sum(bool(outcome.boxes) for _, outcome, _ in looked(film)) <= 2


def test_a_visitor_under_such_a_lamp_is_boxed() -> None:
    film = replace(Film(155, "lamp", behind=bright), visits=(Visit(95, 150, 0.25, (0.6, 0.5), 3),))
    rests = [best(shot, o) for shot, o, _ in looked(film) if 97_000 <= shot.at_ms < 148_000]
    assert np.mean(np.array(rests) >= 0.5) >= 0.9
