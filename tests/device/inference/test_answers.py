"""What the device says, frame by frame, whatever frames show and in whatever order."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.camera.frame import Frame
from device.contract import bundle as contract
from device.contract.look.rules import Outcome, Seen
from device.inference.answers import Answer, Answers
from device.inference.classifier import Classifier, Prediction
from device.inference.prepared import Result
from device.inference.smoothing import step
from device.settings.sections import SmoothingConfig
from device.telemetry.observation import NOTHING, UNKNOWN, ModelInfo
from tests.support.device.tiny_bundle import TAR

LABELS = ("daisy", "rose", NOTHING)
"""One class has the name of the answer."""
INFO = ModelInfo("tiny", LABELS, "", "", "ai-edge-litert", "", 1, 1.0, 0.0)
SCORES = st.lists(st.floats(0, 1, width=32), min_size=3, max_size=3)
FRAMES = st.lists(st.tuples(st.sampled_from([None, *Seen]), SCORES), min_size=1, max_size=40)
Frames = Sequence[tuple[Seen | None, list[float]]]
TAU_S = st.sampled_from([0.0, 0.3, 2.0])
PICTURE = np.zeros((4, 4, 3), np.uint8)


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier.from_bundle(contract.load(Path(TAR)))


def result(seen: Seen | None, scores: list[float], at_s: float, classifier: Classifier) -> Result:
    needed = seen in (None, Seen.LEARNING, Seen.SOMETHING)
    prediction = Prediction(LABELS, np.array(scores, np.float32)) if needed else None
    outcome = Outcome(seen) if seen else None
    return Result(0, Frame("#", PICTURE, captured_s=at_s), prediction, classifier, outcome)


def answers(frames: Frames, tau_s: float, classifier: Classifier) -> list[Answer]:
    said, config = Answers(), SmoothingConfig(time_constant_s=tau_s)
    return [
        said.next(result(seen, scores, 0.2 * number, classifier), INFO, config)
        for number, (seen, scores) in enumerate(frames)
    ]


@given(FRAMES, TAU_S)
def test_a_film_has_the_same_answers_however_fast_it_is_read(
    classifier: Classifier, frames: Frames, tau_s: float
) -> None:
    said, config = Answers(), SmoothingConfig(time_constant_s=tau_s)
    for number, as_it_plays in enumerate(answers(frames, tau_s, classifier)):
        at_once = result(*frames[number], 7.0, classifier)
        of_film = replace(at_once, frame=replace(at_once.frame, film_s=0.2 * number))
        read = said.next(of_film, INFO, config)
        assert (read.label, read.score, read.changed) == (
            as_it_plays.label,
            as_it_plays.score,
            as_it_plays.changed,
        )


@given(FRAMES, TAU_S)
def test_every_answer_is_whole_and_a_change_is_a_change(
    classifier: Classifier, frames: Frames, tau_s: float
) -> None:
    before: Answer | None = None
    for (seen, _), now in zip(frames, answers(frames, tau_s, classifier), strict=True):
        assert now.label in (*LABELS, UNKNOWN)
        if not now.is_of_model:
            assert (now.score, now.top) == (0.0, ()) and not now.smoothed.any()
        else:
            assert now.top and now.smoothed.shape == (3,)
        same = before and (before.label, before.is_of_model) == (now.label, now.is_of_model)
        assert same or now.changed, "no label changes in silence"
        if seen in (Seen.LIGHT, Seen.MOVED) and before:
            assert same and not now.changed
        if seen in (None, Seen.LEARNING):
            assert now.is_of_model, "as if nobody had looked"
        before = now


@given(FRAMES, TAU_S)
def test_frames_that_are_not_looked_at_are_smoothed_as_ever(
    classifier: Classifier, frames: Frames, tau_s: float
) -> None:
    config, state = SmoothingConfig(time_constant_s=tau_s), None
    whole = [(None, scores) for _, scores in frames]
    for number, now in enumerate(answers(whole, tau_s, classifier)):
        scores = np.array(whole[number][1], np.float32)
        state = step(state, Prediction(LABELS, scores), 0.2 * number, config)
        assert (now.label, now.score) == (state.label(LABELS), state.score())
        assert (now.top, now.changed) == (state.top(LABELS, config.top_k), state.changed)


@given(st.lists(SCORES, min_size=1, max_size=10), TAU_S)
def test_what_left_is_forgotten_and_what_comes_is_judged_by_itself(
    classifier: Classifier, visit: list[list[float]], tau_s: float
) -> None:
    away = [(Seen.NOTHING, [0.0] * 3)] * 40
    there = [(Seen.SOMETHING, scores) for scores in visit]
    alone = answers([*away, *there], tau_s, classifier)[40:]
    after = answers([(Seen.SOMETHING, [1.0, 0.0, 0.0])] * 9 + [*away, *there], tau_s, classifier)
    for one, other in zip(alone, after[49:], strict=True):
        np.testing.assert_array_equal(one.smoothed, other.smoothed)
        assert one.label == other.label
