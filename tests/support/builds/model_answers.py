"""Answers of models that agree and err as a test wants it."""

import numpy as np

from convert.verify.statistics import Labels, Probabilities


def saying(named: Labels, classes: int = 3, score: float = 0.9) -> Probabilities:
    """Probabilities whose best class is the named one."""
    rest = (1 - score) / (classes - 1)
    return np.where(np.eye(classes)[named] == 1, score, rest).astype(np.float32)


def answers(n: int, lost: int = 0, won: int = 0, changed: int = 0) -> tuple[Labels, Labels, Labels]:
    """Truth, what the reference names and what the other one does.

    The reference alone is right on `lost` photos, the other alone on `won`; on `changed` they
    name two different wrong classes.
    """
    truth = np.arange(n, dtype=np.int64) % 3
    reference, other = truth.copy(), truth.copy()
    other[:lost] = (truth[:lost] + 1) % 3
    reference[lost : lost + won] = (truth[lost : lost + won] + 1) % 3
    both_wrong = slice(lost + won, lost + won + changed)
    reference[both_wrong] = (truth[both_wrong] + 1) % 3
    other[both_wrong] = (truth[both_wrong] + 2) % 3
    return truth, reference, other
