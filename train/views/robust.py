"""Views of photos as cameras spoil them, for networks that should mind less."""

import numpy as np

from device.contract.arrays import Pixels
from device.contract.preprocess import Preprocessing, prepare_frame
from device.workstation.faults.catalogue import FAULTS, Strength, spoiled

TAUGHT = tuple(fault for fault in FAULTS if fault.name != "h264")
"""The stream takes longest, and shows how a fault does that was never taught."""


def has_fault(number: int) -> bool:
    """Whether a view of this number gets a fault.

    Half of the views that any epoch draws from do, with and without an exchanged background alike;
    view 0 is always the photo as the device prepares it.
    """
    return number % 4 in (1, 2)


def with_fault(frame: Pixels, rules: Preprocessing, number: int, seed: int) -> Pixels:
    """A view with one of the faults, at one of the strengths.

    Args:
        frame: the view in the size of `frame_rules`, uint8 (h, w, 3).
        rules: of the network.
        number: of the view.
        seed: of the photo.

    Returns:
        uint8 (height_px, width_px, 3).
    """
    rng = np.random.default_rng([seed, number, len(TAUGHT)])
    fault = TAUGHT[int(rng.integers(len(TAUGHT)))]
    strength = list(Strength)[int(rng.integers(len(Strength)))]
    return prepare_frame(spoiled(frame, fault, strength, int(rng.integers(2**32))), rules)
