"""Cameras and streams out of the ordinary: sizes, rates, clocks, colours, and one that pans."""

from collections.abc import Iterator

import numpy as np
import pytest

from device.contract.arrays import Pixels
from device.contract.look.looker import Looker
from device.contract.look.rules import LookRules, Outcome, Seen
from tests.bench.look.judge import best_overlap, overlap, squared
from tests.support.films import Film, Shot, Visit, background, shots

RULES = LookRules()
GUEST = Visit(20, 60, 0.35, (0.4, 0.55), seed=3)


def looked(film: Film) -> list[tuple[Shot, Outcome]]:
    looker = Looker(RULES)
    return [(shot, looker.see(shot.pixels, shot.at_ms)) for shot in shots(film)]


def panned(step_px: float, *, back_and_forth: bool) -> Iterator[Pixels]:
    """Frames of a camera that turns past ten places, at 2 frames a second for 100 s."""
    wide = np.concatenate([background((192, 144), seed) for seed in range(10)], axis=1)
    rng = np.random.default_rng(1)
    for number in range(200):
        turned = 200 + 100 * np.sin(number * step_px / 60) if back_and_forth else number * step_px
        left = int(turned) % (wide.shape[1] - 192)
        noisy = wide[:, left : left + 192] + rng.normal(0, 4, (144, 192, 3))
        yield noisy.clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("step_px", "back_and_forth"), [(1, False), (8, False), (30, False), (8, True), (30, True)]
)
def test_a_camera_that_pans_all_the_time_is_said_to_move_and_never_has_a_box(
    step_px: float, back_and_forth: bool
) -> None:
    looker, seen = Looker(RULES), []
    for number, frame in enumerate(panned(step_px, back_and_forth=back_and_forth)):
        outcome = looker.see(frame, 500 * number)
        assert not outcome.boxes
        seen.append(outcome.seen)
    assert seen.count(Seen.MOVED) >= 5 and set(seen) == {Seen.LEARNING, Seen.MOVED}


@pytest.mark.parametrize("level", [5, 90, 250])
def test_noise_before_a_plain_wall_is_no_camera_that_moves(level: int) -> None:
    rng, looker = np.random.default_rng(2), Looker(RULES)
    for at_ms in range(0, 15_000, 500):
        frame = rng.normal(level, 12, (144, 192, 3)).clip(0, 255).astype(np.uint8)
        outcome = looker.see(frame, at_ms)
    assert outcome.seen is Seen.NOTHING


def test_a_camera_without_colours_finds_visitors() -> None:
    looker, close = Looker(RULES), []
    for shot in shots(Film(40, visits=(GUEST,))):
        grey = shot.pixels.mean(axis=2, keepdims=True).astype(np.uint8).repeat(3, 2)
        outcome = looker.see(grey, shot.at_ms)
        if shot.at_ms >= 22_000:
            close.append(best_overlap(shot, outcome, RULES) >= 0.5)
    assert np.mean(close) >= 0.9


@pytest.mark.parametrize("fps", [1 / 60, 60.0])
def test_frames_may_come_once_a_minute_or_sixty_times_a_second(fps: float) -> None:
    film = Film(900, fps=fps) if fps < 1 else Film(13, fps=fps, visits=(Visit(10.5, 30, 0.35),))
    frames = looked(film)
    learned = [shot.at_ms for shot, outcome in frames if outcome.seen is not Seen.LEARNING]
    assert learned[0] <= max(10_500, RULES.least_pictures * 60_000)
    there = [bool(outcome.boxes) for shot, outcome in frames if shot.at_ms > 12_500 and shot.boxes]
    assert all(there) and not any(outcome.boxes for shot, outcome in frames if not shot.boxes)


def test_a_clock_that_jumps_ahead_changes_nothing() -> None:
    looker = Looker(RULES)
    for shot in shots(Film(30, visits=(GUEST,))):
        jump_ms = 86_400_000 if shot.at_ms >= 16_000 else 0
        outcome = looker.see(shot.pixels, shot.at_ms + jump_ms)
        if shot.at_ms >= 11_000:
            assert outcome.seen in (Seen.NOTHING, Seen.SOMETHING)
            assert bool(outcome.boxes) >= (shot.at_ms >= 22_000)


@pytest.mark.parametrize("size_px", [(16, 16), (4096, 2160)])
def test_very_small_and_very_large_frames_are_looked_at(size_px: tuple[int, int]) -> None:
    (width, height), looker = size_px, Looker(LookRules(learn_ms=2000))
    rows = np.arange(height)[:, None] * 255 // height
    empty = np.stack(np.broadcast_arrays(rows, rows // 2, np.arange(width) * 0 + 90), axis=-1)
    empty = empty.astype(np.uint8)
    for at_ms in range(0, 3000, 400):
        looker.see(empty, at_ms)
    visited = empty.copy()
    visited[height // 8 : height // 2, width // 8 : width // 2] = (250, 20, 250)
    outcome = looker.see(visited, 3200)
    assert outcome.seen is Seen.SOMETHING
    wanted = squared((width // 8, height // 8, width // 2, height // 2), size_px, RULES)
    assert overlap(outcome.boxes[0], wanted) >= (0.5 if min(size_px) > 16 else 0.25)
