"""Rendered films of one camera: what disturbs is no subject, and what visits is found."""

import numpy as np
import pytest

from device.contract.look.looker import Looker
from device.contract.look.rules import LookRules, Outcome, Seen
from tests.bench.look.judge import overlap, squared
from tests.support.films import MOVED_S, Film, Shot, Visit, shots

RULES = LookRules()
QUIET = {Seen.LEARNING, Seen.NOTHING}


def looked(film: Film, rules: LookRules = RULES) -> list[tuple[Shot, Outcome]]:
    looker = Looker(rules)
    return [(shot, looker.see(shot.pixels, shot.at_ms)) for shot in shots(film)]


def overlaps(film: Film, from_s: float, to_s: float) -> list[float]:
    return [
        max((overlap(b, squared(shot.boxes[0], film.size_px, RULES)) for b in o.boxes), default=0)
        for shot, o in looked(film)
        if from_s <= shot.at_ms / 1000 < to_s
    ]


def test_a_place_is_learned_within_ten_seconds() -> None:
    seen = [(shot.at_ms, outcome.seen) for shot, outcome in looked(Film(15))]
    assert {kind for at_ms, kind in seen if at_ms < 10_000} == {Seen.LEARNING}
    assert {kind for at_ms, kind in seen if at_ms > 10_500} == {Seen.NOTHING}


@pytest.mark.parametrize("disturbance", ["noise", "sun", "exposure"])
def test_light_and_exposure_are_no_subject(disturbance: str) -> None:
    film = Film(100, disturbance, seed=1)
    assert {outcome.seen for _, outcome in looked(film)} == QUIET


@pytest.mark.parametrize("disturbance", ["clouds", "rain", "leaves"])
def test_after_a_minute_weather_is_a_box_in_few_frames(disturbance: str) -> None:
    frames = looked(Film(150, disturbance, seed=1))
    after = [bool(outcome.boxes) for shot, outcome in frames if shot.at_ms >= 75_000]
    assert np.mean(after) < 0.1


def test_switching_to_infrared_is_light_without_a_subject_and_is_learned() -> None:
    frames = looked(Film(140, "infrared"))
    assert not any(outcome.boxes for _, outcome in frames)
    switched = [outcome.seen for shot, outcome in frames if 120 <= shot.at_ms / 1000 < 121]
    assert set(switched) == {Seen.LIGHT}
    assert frames[-1][1].seen is Seen.NOTHING


def test_a_camera_that_is_moved_is_said_and_learns_from_the_beginning() -> None:
    frames = looked(Film(80, "moved"))
    assert not any(outcome.boxes for _, outcome in frames)
    at_s = {shot.at_ms / 1000: outcome.seen for shot, outcome in frames}
    assert (at_s[MOVED_S - 1], at_s[MOVED_S], at_s[MOVED_S + 5]) == (
        Seen.NOTHING,
        Seen.MOVED,
        Seen.LEARNING,
    )
    assert at_s[MOVED_S + 15] is Seen.NOTHING


def test_day_and_infrared_need_not_be_learned_twice() -> None:
    seen = [(shot.at_ms / 1000, outcome.seen) for shot, outcome in looked(Film(400, "infrared"))]
    learning = {int(at_s) for at_s, kind in seen if kind is Seen.LEARNING}
    assert max(learning) < 133 and {kind for at_s, kind in seen if at_s > 133} == {Seen.NOTHING}


def test_a_visitor_who_comes_as_the_light_is_switched_is_boxed_at_once() -> None:
    film = Film(260, "infrared", (Visit(238, 258, 0.3, seed=3),))
    assert np.mean(np.array(overlaps(film, 240, 256)) >= 0.5) >= 0.9


def test_a_nudge_of_the_camera_is_no_subject_and_nothing_to_learn() -> None:
    seen = [(shot.at_ms, outcome.seen) for shot, outcome in looked(Film(260, "nudge"))]
    assert {kind for at_ms, kind in seen if at_ms >= 10_500} == {Seen.NOTHING}


def test_a_visitor_is_boxed_through_a_nudge() -> None:
    film = Film(135, "nudge", (Visit(112, 135, 0.3, seed=3),))
    assert np.mean(np.array(overlaps(film, 114, 133)) >= 0.5) >= 0.9


@pytest.mark.parametrize("seed", [1, 2])
def test_a_lamp_at_one_side_is_seldom_a_box(seed: int) -> None:
    frames = looked(Film(200, "lamp", seed=seed))
    assert np.mean([bool(outcome.boxes) for _, outcome in frames]) <= 0.1


FIRST = [("rain", 1), ("leaves", 0), ("leaves", 32), ("leaves", 36), ("leaves", 37), ("leaves", 40)]


@pytest.mark.parametrize(("disturbance", "seed"), FIRST)
def test_the_first_drops_and_gusts_are_no_subject(disturbance: str, seed: int) -> None:
    frames = looked(Film(75, disturbance, seed=seed))
    assert sum(bool(outcome.boxes) for _, outcome in frames) <= 1


def test_what_was_overexposed_while_it_was_learned_is_no_subject_in_less_light() -> None:
    looker, film = Looker(RULES), list(shots(Film(30, seed=4)))
    for shot in film:
        gain = 1.7 if shot.at_ms < 15_000 else 1.0
        bright = (shot.pixels * gain).clip(0, 255).astype(np.uint8)
        assert not looker.see(bright, shot.at_ms).boxes


def test_a_visitor_stays_boxed_while_shadows_of_clouds_drift_over_it() -> None:
    film = Film(150, "clouds", (Visit(30, 150, 0.2, (0.7, 0.45), seed=5),), seed=5)
    assert np.mean(np.array(overlaps(film, 32, 148)) >= 0.5) >= 0.9


@pytest.mark.parametrize("height", [0.15, 0.25, 0.5])
@pytest.mark.parametrize("disturbance", ["noise", "sun", "exposure", "rain"])
def test_a_visitor_is_boxed_while_it_rests(height: float, disturbance: str) -> None:
    film = Film(83, disturbance, (Visit(70, 90, height, (0.4, 0.55), seed=3),))
    found = overlaps(film, 72, 83)
    assert np.mean(np.array(found) >= 0.5) >= 0.9


def test_nothing_is_left_behind_by_a_visitor() -> None:
    frames = looked(Film(60, visits=(Visit(15, 40, 0.3),)))
    assert all(outcome.seen in QUIET for shot, outcome in frames if not shot.boxes)


def test_a_visitor_that_stays_is_kept_and_belongs_to_the_place_after_absorb_s() -> None:
    rules = LookRules(absorb_s=30)
    frames = looked(Film(80, visits=(Visit(15, 99, 0.3, moves=0.0),)), rules)
    at_s = {shot.at_ms / 1000: outcome.seen for shot, outcome in frames}
    assert {at_s[s] for s in range(18, 44)} == {Seen.SOMETHING}
    assert {at_s[s] for s in range(55, 80)} == {Seen.NOTHING}


def test_a_visitor_that_was_learned_is_forgotten_soon_after_it_left() -> None:
    frames = looked(Film(80, visits=(Visit(-5, 30, 0.4, moves=0.0),)))
    assert {outcome.seen for shot, outcome in frames if shot.at_ms >= 55_000} == {Seen.NOTHING}


def test_of_two_visitors_the_larger_is_told_or_both_if_wanted() -> None:
    two = (Visit(15, 30, 0.2, (0.2, 0.3), seed=1), Visit(15, 30, 0.4, (0.7, 0.6), seed=2))
    film = Film(26, visits=two)
    (shot, one), *_ = looked(film)[::-1]
    (_, both), *_ = looked(film, LookRules(most_boxes=2))[::-1]
    wanted = [squared(box, film.size_px, RULES) for box in shot.boxes[::-1]]
    assert len(one.boxes) == 1 and len(both.boxes) == 2 and one.boxes[0] == both.boxes[0]
    assert all(overlap(*pair) > 0.5 for pair in zip(both.boxes, wanted, strict=True))


def test_a_known_background_needs_no_learning() -> None:
    first = Looker(RULES)
    for shot in shots(Film(12)):
        first.see(shot.pixels, shot.at_ms)
    film = Film(3, visits=(Visit(-5, 20, 0.3),))
    again = Looker(RULES, first.background)
    assert {again.see(shot.pixels, shot.at_ms).seen for shot in shots(film)} == {Seen.SOMETHING}


def test_a_background_of_another_shape_is_forgotten() -> None:
    first = Looker(RULES)
    for shot in shots(Film(12)):
        first.see(shot.pixels, shot.at_ms)
    again = Looker(RULES, first.background)
    shot = next(shots(Film(1, size_px=(160, 90))))
    assert again.see(shot.pixels, 0).seen is Seen.LEARNING


def test_a_stream_that_changes_its_size_is_learned_from_the_beginning() -> None:
    looker = Looker(RULES)
    for shot in shots(Film(12)):
        before = looker.see(shot.pixels, shot.at_ms)
    larger = [
        looker.see(shot.pixels, 12_000 + shot.at_ms).seen
        for shot in shots(Film(12, size_px=(320, 180)))
    ]
    assert before.seen is Seen.NOTHING
    assert (larger[0], larger[-1]) == (Seen.LEARNING, Seen.NOTHING)


def test_frames_may_come_rarely() -> None:
    film = Film(900, visits=(Visit(500, 620, 0.3),), fps=0.1)
    frames = looked(film)
    assert sum(outcome.seen is Seen.LEARNING for _, outcome in frames) <= RULES.least_pictures
    there = [bool(outcome.boxes) for shot, outcome in frames if shot.boxes]
    assert all(there) and not any(outcome.boxes for shot, outcome in frames if not shot.boxes)


def test_a_visitor_that_is_there_after_a_long_pause_is_not_taken_for_the_place() -> None:
    looker = Looker(LookRules(absorb_s=60))
    film = Film(30, visits=(Visit(15, 99, 0.3, moves=0.0),))
    pause_ms = 3_600_000
    later = [(s, s.at_ms + (pause_ms if s.boxes else 0)) for s in shots(film)]
    outcomes = [(shot, looker.see(shot.pixels, at_ms)) for shot, at_ms in later]
    assert all(outcome.boxes for shot, outcome in outcomes if shot.at_ms > 18_000)


def test_the_background_does_not_drift_away_from_what_a_visitor_hides() -> None:
    looker, first = Looker(RULES), None
    for shot in shots(Film(60, fps=4)):
        looker.see(shot.pixels, shot.at_ms)
        first = looker.background if first is None else first
    assert first is not None and looker.background is not None
    drift = (looker.background.cells - first.cells).mean(axis=(1, 2))
    assert np.abs(drift).max() < 3


def test_subjects_are_found_only_in_allowed_places() -> None:
    film = Film(40, visits=(Visit(14, 24, 0.4, at=(0.25, 0.5)), Visit(26, 36, 0.4, at=(0.75, 0.5))))

    def found(looker: Looker) -> set[bool]:
        """Whether visitors were found at the left and at the right."""
        boxes = [box for shot in shots(film) for box in looker.see(shot.pixels, shot.at_ms).boxes]
        return {box[0] + box[2] > film.size_px[0] for box in boxes}

    looker = Looker(RULES)
    assert found(looker) == {False, True}
    looker = Looker(RULES)
    looker.look_only(lambda grid: np.arange(grid.shape[1]) >= np.full(grid.shape, 50))
    assert found(looker) == {True}
    looker.look_only(None)
    assert looker.background is not None, "another mask does not make it learn again"


def test_a_move_is_told_also_where_subjects_are_not_looked_for() -> None:
    looker = Looker(RULES)
    looker.look_only(lambda grid: np.zeros(grid.shape, bool))
    seen = {looker.see(shot.pixels, shot.at_ms).seen for shot in shots(Film(80, "moved"))}
    assert seen == {Seen.LEARNING, Seen.NOTHING, Seen.MOVED}
