"""One temperature repairs the probabilities and changes no answer."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax

from tests.support.single_photos import singles
from train.network.temperature import (
    HIGHEST,
    LOWEST,
    Calibrated,
    calibrate,
    fit_temperature,
    log_loss,
    logits_before,
)

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]


def honest(n: int = 4000, classes: int = 4, seed: int = 0) -> tuple[Floats, Labels]:
    """Logits whose softmax is the very chance with which each label was drawn."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (n, classes))
    chances = softmax(logits, axis=1).cumsum(axis=1)
    return logits, (rng.random((n, 1)) > chances).sum(axis=1).clip(0, classes - 1)


@pytest.mark.parametrize("made", [0.3, 0.5, 1.0, 3.0])
def test_the_temperature_that_spoilt_honest_logits_is_found_again(made: float) -> None:
    logits, labels = honest()
    assert fit_temperature(made * logits, labels, singles(len(labels))) == pytest.approx(
        made, rel=0.08
    )


def test_a_small_part_without_a_mistake_asks_for_no_certainty() -> None:
    logits = np.eye(3)[[0, 1, 2]] * 2.0
    few = fit_temperature(logits, np.arange(3), singles(3))
    tiled, labels = np.tile(logits, (100, 1)), np.tile(np.arange(3), 100)
    many = fit_temperature(tiled, labels, singles(300))
    assert LOWEST < many < few
    assert softmax(logits / few, axis=1).max() < 0.9


@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 40),
    st.integers(2, 6),
    st.floats(0.01, 50),
)
def test_every_part_has_a_finite_temperature_within_its_bounds(
    seed: int, n: int, classes: int, spread: float
) -> None:
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, spread, (n, classes)).astype(np.float32)
    labels = rng.integers(0, classes, n)
    assert LOWEST <= fit_temperature(logits, labels, singles(n)) <= HIGHEST


@given(st.integers(0, 2**32 - 1), st.floats(0.2, 5))
def test_undoing_gives_the_loss_from_before(seed: int, temperature: float) -> None:
    logits, labels = honest(50, seed=seed)
    after = softmax(logits / temperature, axis=1)
    single = np.ones(50)
    assert log_loss(logits_before(after, temperature), labels, single) == pytest.approx(
        log_loss(logits, labels, single)
    )


@pytest.fixture
def network() -> Any:
    """A head over two features, with the names that a classifier has."""
    import keras

    keras.utils.set_random_seed(0)
    features = keras.Input((2, 2, 2))
    class_map = keras.layers.Conv2D(3, 1, name="class_map", bias_initializer="ones")(features)
    logits = keras.layers.GlobalAveragePooling2D(name="logits")(class_map)
    probabilities = keras.layers.Softmax(name="probabilities")(logits)
    return keras.Model(features, {"probabilities": probabilities, "class_map": class_map})


def test_the_folded_temperature_divides_logits_and_map_and_changes_no_answer(network: Any) -> None:
    x = np.random.default_rng(0).normal(0, 1, (200, 2, 2, 2)).astype(np.float32)
    before = {name: value.numpy() for name, value in network(x).items()}
    logits = before["class_map"].mean(axis=(1, 2))
    labels = logits.argmax(axis=1)
    labels[:20] = 0
    calibrated = calibrate(network, logits, labels, singles(200))
    after = {name: value.numpy() for name, value in network(x).items()}
    assert abs(calibrated.temperature - 1) > 0.1
    assert (after["probabilities"].argmax(1) == before["probabilities"].argmax(1)).all()
    wanted = before["class_map"] / calibrated.temperature
    # Three float32 terms may cancel, so the error goes by the largest of them, not by their sum.
    rounding = 4 * np.finfo(np.float32).eps * np.abs(wanted).max()
    np.testing.assert_allclose(after["class_map"], wanted, rtol=0, atol=rounding)
    single = np.ones(200)
    assert log_loss(np.log(after["probabilities"]), labels, single) < log_loss(
        logits, labels, single
    )


def test_the_record_tells_both_parts_before_and_after() -> None:
    logits, labels = honest()
    timid = Calibrated(0.5, logits / 2, labels, singles(len(labels)))
    bursts = [str(number // 4) for number in range(len(labels))]
    record = timid.record(softmax(logits, axis=1), labels, bursts)
    assert record.temperature == 0.5
    for effect in (record.validation, record.test):
        assert effect.n == len(labels)
        assert effect.after < effect.before
    assert record.validation.before == pytest.approx(record.test.before, rel=1e-6)
    assert record.validation.events == len(labels)
    assert record.test.events == len(set(bursts))


def test_a_burst_asks_for_as_much_certainty_as_one_of_its_photos() -> None:
    logits, labels = honest(60)
    burst = np.r_[np.arange(60), np.zeros(500, np.int64)]
    events = [*singles(60), *[singles(1)[0]] * 500]
    alone = fit_temperature(logits, labels, singles(60))
    assert fit_temperature(logits[burst], labels[burst], events) == pytest.approx(alone, rel=1e-3)
    misled = fit_temperature(logits[burst], labels[burst], singles(560))
    assert abs(misled / alone - 1) > 0.1
