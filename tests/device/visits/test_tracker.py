"""What a visit is: when it begins and ends, what its frames say together, and which is its best."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.contract.arrays import Scores
from device.contract.look.rules import Seen
from device.visits import evidence
from device.visits.tracker import Going, Sight, State, step

END_S = 5.0
FPS = 4.0
SIZE = (640, 480)
MIDDLE = (200, 120, 360, 280)
AT_THE_EDGE = (0, 120, 160, 280)
SMALL = (200, 120, 240, 160)


def scores(*shares: float) -> Scores:
    """Of three classes; what is left belongs to the last."""
    return np.array([*shares, *[0.0] * (2 - len(shares)), 1 - sum(shares)], np.float32)


SURE = scores(0.8, 0.15)


def frame(time_s: float, seen: Seen = Seen.SOMETHING, said: Scores = SURE, box=MIDDLE) -> Sight:  # type: ignore[no-untyped-def]
    given = said if seen is Seen.SOMETHING else None
    return Sight(seen, time_s, 1e9 + time_s, given, box, SIZE)


def states(sights: Sequence[Sight], end_s: float = END_S) -> list[State]:
    found = [State()]
    for sight in sights:
        found.append(step(found[-1], sight, end_s))
    return found[1:]


def film(words: str, fps: float = FPS, start_s: float = 0.0, said: Scores = SURE) -> list[Sight]:
    """One letter a frame: s something, n nothing, l light, m moved, a learning."""
    kinds = {"s": Seen.SOMETHING, "n": Seen.NOTHING, "l": Seen.LIGHT, "m": Seen.MOVED}
    kinds["a"] = Seen.LEARNING
    return [frame(start_s + i / fps, kinds[word], said) for i, word in enumerate(words)]


def ended(found: Sequence[State]) -> list[Going]:
    return [state.ended for state in found if state.ended is not None]


def begun(found: Sequence[State]) -> int:
    return sum(state.begun for state in found)


def probabilities(sights: Sequence[Sight]) -> Scores:
    going = states(sights)[-1].going
    assert going is not None
    return going.evidence.probabilities()


# --- beginning and end ----------------------------------------------------------------------------


def test_a_visit_begins_after_half_a_second_and_ends_once_after_five_without() -> None:
    found = states(film("nn" + "s" * 12 + "n" * 40))
    assert [i for i, state in enumerate(found) if state.begun] == [4]
    (visit,) = ended(found)
    last = 13
    assert visit.last.monotonic_s == last / FPS and visit.frames == 12
    assert [i for i, state in enumerate(found) if state.ended] == [last + END_S * FPS]
    assert all(bool(state.visit) == (4 <= i < last + 20) for i, state in enumerate(found))


@pytest.mark.parametrize("words", ["s", "ss", "snsnsn", "nsnnnsnnnsnnnsnnns", "ssnnnnnnssnnnnnnss"])
def test_a_flicker_is_no_visit(words: str) -> None:
    found = states(film(words + "n" * 40))
    assert not begun(found) and not ended(found)


@pytest.mark.parametrize("gap", ["n" * 18, "l" * 8 + "a" * 10, "m" * 18, "nlman" * 3])
def test_what_is_away_for_less_than_end_s_is_still_the_same_visit(gap: str) -> None:
    found = states(film("s" * 8 + gap + "s" * 8 + "n" * 40))
    assert begun(found) == 1 and [visit.frames for visit in ended(found)] == [16]


@pytest.mark.parametrize("words", ["l" * 60, "m" * 60, "a" * 60, "lman" * 20])
def test_light_a_moved_camera_and_learning_begin_no_visit(words: str) -> None:
    found = states(film(words))
    assert not begun(found) and found[-1].going is None


def test_two_visitors_with_five_seconds_between_them_are_two_visits() -> None:
    found = states(film("s" * 8 + "n" * 20 + "s" * 8 + "n" * 20))
    assert begun(found) == 2 and len(ended(found)) == 2


def test_end_s_of_the_settings_decides_what_is_one_visit() -> None:
    sights = film("s" * 8 + "n" * 30 + "s" * 8 + "n" * 60)
    assert len(ended(states(sights, 5.0))) == 2 and len(ended(states(sights, 10.0))) == 1


def test_a_camera_of_one_frame_in_ten_seconds_sees_visits_too() -> None:
    found = states(film("nnssssnnnn", fps=0.1))
    assert begun(found) == 1 and [visit.frames for visit in ended(found)] == [4]


def test_a_camera_that_was_lost_for_a_minute_ends_the_visit_before() -> None:
    found = states(film("s" * 8) + film("s" * 8 + "n" * 40, start_s=62.0))
    assert [visit.last.monotonic_s for visit in ended(found)] == [1.75, 63.75]


@given(st.text("snlma", max_size=80), st.sampled_from([0.1, 1.0, 4.0, 30.0]))
def test_visits_end_once_and_never_overlap(words: str, fps: float) -> None:
    found = states(film(words + "n" * int(END_S * fps + 40), fps))
    assert begun(found) == len(ended(found)) and found[-1].visit is None
    spans = [(visit.first.monotonic_s, visit.last.monotonic_s) for visit in ended(found)]
    assert all(first <= last for first, last in spans)
    assert all(a[1] < b[0] for a, b in pairwise(spans))


# --- what its frames say --------------------------------------------------------------------------


def test_one_frame_that_is_sure_of_itself_does_not_decide_against_many() -> None:
    sights = [frame(i / FPS, said=scores(0.6, 0.35)) for i in range(10)]
    sights[3] = replace(sights[3], scores=scores(0.0001, 0.9998))
    assert probabilities(sights).argmax() == 0


def test_frames_that_agree_are_surer_together_than_each_alone() -> None:
    alone = scores(0.6, 0.3)
    few, many = (probabilities([frame(i / FPS, said=alone) for i in range(n)]) for n in (3, 30))
    assert alone[0] < few[0] < many[0]


def test_a_thousand_frames_of_a_doubt_are_still_no_certainty() -> None:
    said = probabilities([frame(i / FPS, said=scores(0.5, 0.4)) for i in range(1000)])
    assert said[0] < 0.8


FOR, AGAINST = scores(0.65, 0.25), scores(0.25, 0.65)


@pytest.mark.parametrize(
    ("said", "divided"),
    [
        ([FOR, AGAINST, FOR], True),
        ([FOR, AGAINST, FOR] * 100, True),
        ([scores(0.5, 0.4)] * 30, True),
        ([scores(0.6, 0.26)] * 30, True),
        ([FOR] * 30, False),
        ([*[SURE] * 20, AGAINST, AGAINST], False),
    ],
    ids=["turns", "long turns", "doubt", "some doubt", "agreement", "two of many"],
)
def test_frames_of_which_no_class_comes_out_are_divided_however_many(
    said: list[Scores], divided: bool
) -> None:
    going = states([frame(i / FPS, said=one) for i, one in enumerate(said)])[-1].going
    assert going is not None and going.evidence.is_divided == divided


def test_frames_of_a_model_with_one_class_are_never_divided() -> None:
    assert not evidence.of_frame(np.ones(1, np.float32), 1.0).is_divided


@pytest.mark.parametrize("fps", [8.0, 30.0, 100.0])
def test_more_frames_a_second_are_not_more_evidence(fps: float) -> None:
    usual, fast = (
        probabilities([frame(i / rate, said=scores(0.5, 0.3)) for i in range(int(4 * rate) + 1)])
        for rate in (FPS, fps)
    )
    np.testing.assert_allclose(fast, usual, atol=0.01)


@given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=30), st.integers(2, 50))
def test_probabilities_of_a_visit_add_up_to_one_whatever_its_frames_say(
    seeds: list[int], classes: int
) -> None:
    draws = [np.random.default_rng(seed).dirichlet(np.full(classes, 0.05)) for seed in seeds]
    sights = [frame(i / FPS, said=draw.astype(np.float32)) for i, draw in enumerate(draws)]
    said = probabilities(sights)
    assert said.sum() == pytest.approx(1, abs=1e-5) and np.isfinite(said).all()


# --- its best frame -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "worse",
    [
        frame(9, said=scores(0.5, 0.4)),
        frame(9, box=AT_THE_EDGE),
        frame(9, box=SMALL),
    ],
    ids=["unsure", "at the edge", "small"],
)
@pytest.mark.parametrize("first", [True, False])
def test_the_best_frame_is_sure_large_and_whole(worse: Sight, first: bool) -> None:
    sights = [worse, frame(9)] if first else [frame(9), worse]
    sights = [replace(sight, monotonic_s=i / FPS) for i, sight in enumerate(sights)]
    going = states(sights)[-1].going
    assert going is not None and going.best is sights[1 if first else 0]


def test_the_best_frame_shows_what_the_visit_turned_out_to_be() -> None:
    sights = [frame(0, said=scores(0.05, 0.9))]
    sights += [frame(i / FPS, said=scores(0.7, 0.2)) for i in range(1, 9)]
    going = states(sights)[-1].going
    assert going is not None and going.best.scores is not None
    assert going.best.scores.argmax() == 0


def test_scores_that_are_all_rounded_to_zero_speak_for_no_class() -> None:
    """With hundreds of classes none may reach the smallest probability of an int8 output."""
    blank = np.zeros(3, np.float32)
    sights = film("s" * 4, said=blank)
    assert probabilities(sights) == pytest.approx([1 / 3] * 3)
    assert probabilities([*sights, *film("s" * 4, start_s=1.0)]).argmax() == SURE.argmax()
