"""Promises of the head that fine-tuning begins from: it is exact, and an event counts once."""

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression

from device.workstation.weights import event_weights
from tests.support.single_photos import even, singles
from train.recipe.finetune import HEAD_ITERATIONS, HEAD_STRENGTHS, fit_head
from train.recipe.truth import Truth


@pytest.mark.parametrize("classes", [2, 3, 6])
def test_the_head_is_the_logistic_regression_of_pooled_features(classes: int) -> None:
    rng = np.random.default_rng(classes)
    labels = np.arange(60) % classes
    maps = rng.normal(0, 1, (60, 3, 3, 12)) + np.eye(12)[labels][:, None, None]
    pooled = maps.mean(axis=(1, 2)).astype(np.float32)
    kernel, bias = fit_head(pooled, even(labels), pooled, even(labels), classes)
    assert kernel.shape == (1, 1, 12, classes) and bias.shape == (classes,)
    ours = softmax((maps @ kernel[0, 0] + bias).mean(axis=(1, 2)), axis=1)
    candidates = [
        LogisticRegression(C=strength, max_iter=HEAD_ITERATIONS)
        .fit(pooled, labels)
        .predict_proba(pooled)
        for strength in HEAD_STRENGTHS
    ]
    assert min(np.abs(ours - theirs).max() for theirs in candidates) < 1e-4


def test_the_head_learns_and_is_chosen_by_events() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    pooled = (rng.normal(0, 1, (60, 12)) + np.eye(12)[labels]).astype(np.float32)
    burst = [*range(60), *[0] * 540]
    truth = Truth(labels[burst], event_weights([*singles(60), *[singles(60)[0]] * 540]))
    found = fit_head(pooled[burst], truth, pooled[burst], truth, 3)
    # Regularised as little as 600 single photos would be.
    whole = [*range(60)] * 10
    single = even(labels[whole])
    for ours, theirs in zip(
        found, fit_head(pooled[whole], single, pooled, even(labels), 3), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, atol=1e-3)
