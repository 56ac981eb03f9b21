"""What smoothing promises: no flicker, no dependence on the frame rate, an honest "unknown"."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.inference.classifier import Prediction
from device.inference.smoothing import Presence, Smoothed, notice, step
from device.settings.sections import SmoothingConfig
from device.telemetry.observation import UNKNOWN

LABELS = ("daisy", "rose", "tulip")
probabilities = st.lists(st.floats(0, 1, width=32), min_size=3, max_size=3)


def scores(*values: float) -> npt.NDArray[np.float32]:
    return np.array(values, np.float32)


def saw(
    frame: npt.NDArray[np.float32], distance: float | None = None, limit: float | None = 1.0
) -> Prediction:
    return Prediction(LABELS, frame, distance, limit)


def run(
    frames: list[npt.NDArray[np.float32]],
    config: SmoothingConfig,
    *,
    dt_s: float = 0.1,
    distances: list[float] | None = None,
) -> list[Smoothed]:
    states: list[Smoothed] = []
    for number, frame in enumerate(frames):
        before = states[-1] if states else None
        seen = saw(frame, distances[number] if distances else None)
        states.append(step(before, seen, number * dt_s, config))
    return states


def test_after_one_time_constant_a_new_sight_has_63_percent_of_the_weight() -> None:
    before = step(None, saw(scores(1, 0, 0)), 0.0, SmoothingConfig(time_constant_s=2.0))
    after = step(before, saw(scores(0, 1, 0)), 2.0, SmoothingConfig(time_constant_s=2.0))
    assert after.scores == pytest.approx([np.exp(-1), 1 - np.exp(-1), 0], abs=1e-6)


@given(st.integers(1, 40), st.floats(0.01, 100))
def test_the_frame_rate_does_not_matter(frames: int, tau_s: float) -> None:
    config = SmoothingConfig(time_constant_s=tau_s)
    start = step(None, saw(scores(1, 0, 0)), 0.0, config)
    once = step(start, saw(scores(0, 0, 1)), 1.0, config)
    many = start
    for number in range(frames):
        many = step(many, saw(scores(0, 0, 1)), (number + 1) / frames, config)
    np.testing.assert_allclose(many.scores, once.scores, atol=1e-4)


@given(st.lists(probabilities, min_size=1, max_size=30), st.floats(0, 1e6), st.floats(0, 10))
def test_smoothed_scores_stay_between_the_lowest_and_the_highest(
    frames: list[list[float]], tau_s: float, dt_s: float
) -> None:
    states = run([scores(*f) for f in frames], SmoothingConfig(time_constant_s=tau_s), dt_s=dt_s)
    array = np.array(frames, np.float32)
    for state in states:
        assert (state.scores >= array.min(0) - 1e-5).all()
        assert (state.scores <= array.max(0) + 1e-5).all()


def test_two_classes_in_turn_do_not_flicker() -> None:
    frames = [scores(0.52, 0.48, 0), scores(0.48, 0.52, 0)] * 20
    config = SmoothingConfig(time_constant_s=0.0, hysteresis=0.1)
    assert sum(state.changed for state in run(frames, config)) == 1
    jumpy = SmoothingConfig(time_constant_s=0.0, hysteresis=0.0)
    assert sum(state.changed for state in run(frames, jumpy)) == 40


def test_a_clear_change_comes_through() -> None:
    frames = [scores(0.9, 0.1, 0)] * 5 + [scores(0.1, 0.9, 0)] * 30
    states = run(frames, SmoothingConfig(time_constant_s=0.5))
    assert [s.label(LABELS) for s in states if s.changed] == ["daisy", "rose"]


def test_below_the_threshold_is_unknown_and_the_margin_keeps_it_from_flickering() -> None:
    config = SmoothingConfig(time_constant_s=0.0, hysteresis=0.1, threshold=0.6)
    heights = [0.3, 0.55, 0.62, 0.55, 0.51, 0.49, 0.55, 0.61]
    states = run([scores(h, 0.2, 0.1) for h in heights], config)
    assert [s.label(LABELS) for s in states] == [
        UNKNOWN, UNKNOWN, "daisy", "daisy", "daisy", UNKNOWN, UNKNOWN, "daisy",
    ]  # fmt: skip
    assert states[0].score() == pytest.approx(0.3)


def test_beyond_the_limit_is_unknown_and_the_margin_keeps_it_from_flickering() -> None:
    config = SmoothingConfig(time_constant_s=0.0, hysteresis=0.1)
    strange = [1.3, 1.05, 0.98, 1.05, 1.09, 1.11, 1.05, 0.99]
    states = run([scores(0.9, 0.1, 0)] * len(strange), config, distances=strange)
    assert [s.label(LABELS) for s in states] == [
        UNKNOWN, UNKNOWN, "daisy", "daisy", "daisy", UNKNOWN, UNKNOWN, "daisy",
    ]  # fmt: skip


def test_one_strange_frame_is_not_enough_however_strange_it_is() -> None:
    for distance in (1.5, 1e9):
        strange = [0.1] * 20 + [distance] + [0.1] * 20
        states = run([scores(0.9, 0.1, 0)] * 41, SmoothingConfig(), distances=strange)
        assert {s.label(LABELS) for s in states} == {"daisy"}
    lasting = run([scores(0.9, 0.1, 0)] * 40, SmoothingConfig(), distances=[0.1] * 20 + [2.0] * 20)
    assert lasting[-1].label(LABELS) == UNKNOWN


def test_the_settings_threshold_replaces_the_bundle_s_limit() -> None:
    config, far = SmoothingConfig(threshold=0.2), saw(scores(0.3, 0, 0), distance=1.5)
    assert step(None, far, 0, config).best == 0
    assert step(None, saw(scores(0.1, 0, 0), distance=0.0), 0, config).best is None
    assert step(None, far, 0, SmoothingConfig()).best is None
    unlimited = saw(scores(0.3, 0, 0), distance=1.5, limit=None)
    assert step(None, unlimited, 0, SmoothingConfig()).best == 0


def test_after_a_long_gap_only_the_new_frame_counts() -> None:
    config = SmoothingConfig(time_constant_s=1.0)
    before = step(None, saw(scores(1, 0, 0)), 0.0, config)
    assert step(before, saw(scores(0, 0.8, 0.2)), 3600.0, config).scores == pytest.approx(
        [0, 0.8, 0.2], abs=1e-6
    )


def test_the_top_is_sorted_and_bounded() -> None:
    state = step(None, saw(scores(0.2, 0.5, 0.3)), 0, SmoothingConfig())
    assert [name for name, _ in state.top(LABELS, 2)] == ["rose", "tulip"]
    assert len(state.top(LABELS, 99)) == 3


# --- something and nothing ------------------------------------------------------------------------


def presences(frames: list[bool], config: SmoothingConfig, dt_s: float) -> list[bool]:
    states: list[Presence] = []
    for number, is_there in enumerate(frames):
        before = states[-1] if states else None
        states.append(notice(before, is_there, number * dt_s, config))
    return [state.is_there for state in states]


@pytest.mark.parametrize("usual", [True, False])
def test_a_short_gap_or_a_short_glimpse_changes_no_label(usual: bool) -> None:
    frames = [usual] * 30 + [not usual] * 3 + [usual] * 30
    assert set(presences(frames, SmoothingConfig(), 0.1)) == {usual}
    lasting = presences([usual] * 30 + [not usual] * 30, SmoothingConfig(), 0.1)
    assert lasting.index(not usual) - 30 in range(5, 9), "after about 0.7 time constants"
    assert lasting == sorted(lasting, reverse=usual), "once and not back"


@given(st.lists(st.booleans(), min_size=1, max_size=50), st.floats(0, 1))
def test_without_smoothing_each_frame_says_itself_whether_something_is_there(
    frames: list[bool], hysteresis: float
) -> None:
    config = SmoothingConfig(time_constant_s=0, hysteresis=hysteresis)
    assert presences(frames, config, 0.1) == frames


@given(
    st.lists(st.booleans(), min_size=1, max_size=50),
    st.floats(0.001, 100),
    st.floats(0, 1),
    st.floats(0.001, 10),
)
def test_what_has_long_been_seen_holds(
    frames: list[bool], tau_s: float, hysteresis: float, dt_s: float
) -> None:
    config = SmoothingConfig(time_constant_s=tau_s, hysteresis=hysteresis * 0.9)
    shown = presences([*frames, *[frames[-1]] * 4], config, dt_s)
    assert all(now in frames[: number + 1] for number, now in enumerate(shown[: len(frames)]))
    state = notice(Presence(0.5, not frames[-1], 0.0), frames[-1], 9 * tau_s, config)
    assert state.is_there == frames[-1]
