"""An event counts once, however many photos it has; single photos count as they always did."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.workstation.weights import event_weights, weighted_mean

EVENTS = st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=200)


@given(EVENTS)
def test_every_event_has_the_same_sum_and_a_photo_the_mean_of_one(events: list[str]) -> None:
    weights = event_weights(events)
    sums = [weights[[event == name for event in events]].sum() for name in set(events)]
    assert np.allclose(sums, len(events) / len(set(events)))
    assert weights.mean() == pytest.approx(1)
    assert (weights > 0).all()


@given(st.integers(1, 3000))
def test_photos_that_are_events_of_their_own_weigh_exactly_one(n: int) -> None:
    weights = event_weights([f"{number}" for number in range(n)])
    assert weights.dtype == np.float64 and (weights == 1).all()


def test_a_part_without_photos_has_no_weights() -> None:
    assert event_weights([]).shape == (0,)


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.bool_])
def test_without_bursts_the_mean_is_the_same_to_the_bit(kind: type) -> None:
    values: npt.NDArray[Any] = np.random.default_rng(0).normal(size=997).astype(kind)
    assert weighted_mean(values, np.ones(997)) == float(values.mean())


def test_a_burst_moves_the_mean_no_more_than_one_photo() -> None:
    hits = np.array([True] * 60 + [False, False])
    assert weighted_mean(hits, event_weights(["burst"] * 60 + ["b", "c"])) == pytest.approx(1 / 3)
