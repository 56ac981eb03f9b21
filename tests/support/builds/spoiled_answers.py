"""Answers of two models to photos under faults, as a test wants them."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from convert.verify.faults.answers import Answers, Spoiled
from convert.verify.statistics import Labels
from device.workstation.faults.catalogue import FAULTS, Strength
from tests.support.single_photos import singles

ABC = ("a", "b", "c")
N = 488


def nothing_lost(n: int) -> Labels:
    return np.arange(n, dtype=np.int64) % 3


def spoiled(
    worse: dict[int, Labels], n: int = N, events: Sequence[str] = (), faults: int = 12
) -> Spoiled:
    """Models that are equal and right but for what int8 names under some faults, by index."""
    truth = nothing_lost(n)
    unknown = np.zeros(n, bool)
    cases = [(fault, strength) for fault in FAULTS[:faults] for strength in Strength]
    right = {case: Answers(truth, unknown) for case in cases}
    int8 = dict(right)
    for index, named in worse.items():
        int8[FAULTS[index], Strength.MEDIUM] = Answers(named, unknown)
    return Spoiled(ABC, truth, tuple(events) or singles(n), Answers(truth, unknown), right, int8)


def losing(rows: npt.NDArray[np.int64], n: int = N) -> Labels:
    named = nothing_lost(n)
    named[rows] = (named[rows] + 1) % 3
    return named
