"""A camera that was nudged sees the same place aside; nothing of it is a subject."""

import numpy as np
import pytest

from device.contract.arrays import Pixels
from device.contract.look.looker import Looker
from device.contract.look.rules import LookRules, Seen
from tests.support.films import background

SIZE_PX = (384, 288)
NUDGE_PX = 7
NUDGED_MS = 12_000


def frame(edge_px: int, nudge_px: int, seed: int) -> Pixels:
    """A place that is dark up to an edge, which is then so far from the left rim."""
    wide = background((SIZE_PX[0] + NUDGE_PX, SIZE_PX[1]), 31)
    wide[:, : edge_px + NUDGE_PX] = 20
    shown = wide[:, nudge_px : nudge_px + SIZE_PX[0]]
    noise = np.random.default_rng(seed).normal(0, 1, shown.shape)
    return (shown + noise).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("edge_px", range(1, 9))
def test_a_strong_edge_at_the_rim_is_no_subject_after_a_nudge(edge_px: int) -> None:
    looker, seen = Looker(LookRules()), set()
    for at_ms in range(0, NUDGED_MS + 5000, 500):
        nudge_px = NUDGE_PX if at_ms >= NUDGED_MS else 0
        seen.add(looker.see(frame(edge_px, nudge_px, at_ms), at_ms).seen)
    assert seen == {Seen.LEARNING, Seen.NOTHING}
