"""Why something is unknown is said by what made it so, in the same words everywhere."""

from functools import reduce

import numpy as np
import pytest

from device.telemetry.unknown import Doubt, Reason, UnknownRule
from device.visits.evidence import of_frame, together

LABELS = ("robin", "wren", "blackbird")
BY_DISTANCE, BY_SCORE = UnknownRule.of(1.0, None), UnknownRule.of(1.0, 0.7)
NEW, SHARED = 0.5, -0.5
APART = "cannot be told apart here:"


def doubt(rule: UnknownRule, novelty: float | None, *scores: float) -> Doubt:
    return rule.doubt(LABELS, np.array(scores, np.float32), novelty)


@pytest.mark.parametrize(
    ("rule", "novelty", "scores", "expected"),
    [
        (BY_DISTANCE, NEW, (0.9, 0.1, 0.0), "unlike the training photos; nearest: robin"),
        (BY_DISTANCE, NEW, (0.3, 0.4, 0.3), "unlike the training photos; nearest: wren"),
        (BY_DISTANCE, SHARED, (0.1, 0.4, 0.5), "cannot be told apart here: blackbird and wren"),
        (BY_DISTANCE, SHARED, (0.6, 0.25, 0.15), "unlike the training photos; nearest: robin"),
        (BY_DISTANCE, None, (0.5, 0.25, 0.2), "cannot be told apart here: robin and wren"),
        (BY_DISTANCE, None, (0.3, 0.4, 0.3), f"{APART} wren, robin and blackbird"),
        (BY_SCORE, NEW, (0.45, 0.1, 0.4), "cannot be told apart here: robin and blackbird"),
        (BY_SCORE, SHARED, (0.6, 0.25, 0.15), "not sure enough; perhaps robin"),
    ],
)
def test_what_made_it_unknown_is_said_with_the_classes_in_question(
    rule: UnknownRule, novelty: float | None, scores: tuple[float, ...], expected: str
) -> None:
    assert doubt(rule, novelty, *scores).words() == expected


@pytest.mark.parametrize(
    ("distance", "novelty", "expected"),
    [
        (0.4, NEW, f"{APART} robin and wren"),
        (1.6, NEW, "unlike the training photos; nearest: robin"),
        (1.6, SHARED, f"{APART} robin and wren"),
    ],
)
def test_of_a_visit_the_frames_tell_together(
    distance: float, novelty: float, expected: str
) -> None:
    frames = [(0.7, 0.25, 0.05), (0.3, 0.6, 0.1), (0.6, 0.3, 0.1)]
    said = [of_frame(np.array(f, np.float32), 1.0, distance, novelty) for f in frames]
    all_frames = reduce(together, said)
    assert BY_DISTANCE.turns_away_visit(all_frames)
    assert BY_DISTANCE.doubt_of_visit(LABELS, all_frames).words() == expected


def test_of_one_class_there_is_no_second_that_is_alike() -> None:
    only = UnknownRule.of(1.0, None).doubt(("robin",), np.array([1.0], np.float32), SHARED)
    assert only == Doubt(Reason.UNLIKE, ("robin",))


def test_names_are_written_as_the_reader_needs_them() -> None:
    alike = doubt(BY_DISTANCE, SHARED, 0.5, 0.4, 0.1)
    assert alike.words(lambda name: f"<{name}>") == "cannot be told apart here: <robin> and <wren>"
