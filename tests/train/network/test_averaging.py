"""Averaged weights follow the weights, stand in for them, and go again."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from train.network.averaging import AveragedWeights, assign, learning_rates, values


@pytest.fixture
def variables() -> list[keras.Variable]:
    return [keras.Variable([1.0, 2.0]), keras.Variable([[3.0]])]


def ones(variables: list[keras.Variable], times: float) -> list[np.ndarray]:
    return [np.full(variable.shape, times, np.float32) for variable in variables]


def test_an_update_takes_the_present_weights_in_by_its_share(
    variables: list[keras.Variable],
) -> None:
    averaged = AveragedWeights(variables)
    before = values(variables)
    assign(variables, ones(variables, 10))
    tf.function(averaged.update, autograph=False)(tf.constant(0.75))
    for average, old in zip(averaged.variables, before, strict=True):
        np.testing.assert_allclose(average.numpy(), 0.75 * old + 0.25 * 10)


def test_the_averages_stand_in_for_the_weights_and_leave_no_trace(
    variables: list[keras.Variable],
) -> None:
    averaged, before = AveragedWeights(variables), values(variables)
    assign(variables, ones(variables, 10))
    with averaged.swapped_in() as yielded:
        for variable, average, old in zip(variables, yielded, before, strict=True):
            assert (variable.numpy() == average).all() and (average == old).all()
    for variable in variables:
        assert (variable.numpy() == 10).all()


def test_the_weights_come_back_although_what_needed_the_averages_failed(
    variables: list[keras.Variable],
) -> None:
    averaged = AveragedWeights(variables)
    assign(variables, ones(variables, 10))
    with pytest.raises(KeyboardInterrupt), averaged.swapped_in():
        raise KeyboardInterrupt
    assert all((variable.numpy() == 10).all() for variable in variables)


def test_what_was_kept_does_not_follow_the_weights(variables: list[keras.Variable]) -> None:
    averaged = AveragedWeights(variables)
    with averaged.swapped_in() as kept:
        copies = [array.copy() for array in kept]
    assign(variables, ones(variables, 10))
    averaged.update(0.0)
    for array, copied in zip(kept, copies, strict=True):
        assert (array == copied).all()


@pytest.mark.parametrize(("steps", "warm_up"), [(100, 10), (64, 16), (2, 1)])
def test_the_learning_rate_warms_up_to_its_peak_and_decays(steps: int, warm_up: int) -> None:
    schedule = learning_rates(0.5, steps, warm_up)
    rates = np.array([float(schedule(step)) for step in range(steps + 1)])
    assert rates.argmax() == warm_up and rates.max() == pytest.approx(0.5)
    assert rates[0] == pytest.approx(0.005) and rates[-1] == pytest.approx(0.005)
    assert (np.diff(rates[: warm_up + 1]) > 0).all() and (np.diff(rates[warm_up:]) < 0).all()
