"""Twelve faults of cameras at three strengths, and how a photo is spoiled by one.

Faults are rendered into a frame of twice the model's input, about what the middle of a 640x480
camera gives, and then reduced as the device does: noise and blocks are as fine as they are there.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from device.contract.arrays import Pixels
from device.contract.preprocess import Preprocessing
from device.workstation.faults import coding, framing, light, optics

FRAME_SCALE = 2
"""Sides of the frame that is spoiled, by those of the model's input."""

Rng = np.random.Generator


class Strength(StrEnum):
    """How bad a fault is."""

    WEAK = "weak"
    MEDIUM = "medium"
    """What a camera that nobody looks after has sooner or later; the gate judges by this."""
    STRONG = "strong"


@dataclass(frozen=True)
class Fault:
    """One fault of cameras."""

    name: str
    """For settings and files."""
    title: str
    """For people."""
    amounts: tuple[float, float, float]
    """For weak, medium and strong, in the units of `render`."""
    unit: str
    """What an amount is, as `format` takes it."""
    render: Callable[[Pixels, float, Rng], Pixels]
    missing: Callable[[], str] = str
    """Why it cannot be rendered here; empty if it can."""

    def amount(self, strength: Strength) -> float:
        """The amount at one strength."""
        return self.amounts[list(Strength).index(strength)]

    def shown(self, strength: Strength) -> str:
        """The amount at one strength, with its unit."""
        return self.unit.format(self.amount(strength))


FAULTS = (
    Fault("defocus", "defocus", (0.006, 0.012, 0.024), "disc of {:.1%} radius", optics.defocus),
    Fault("motion-blur", "motion blur", (0.02, 0.05, 0.1), "{:.0%} of a side", optics.motion_blur),
    Fault("low-light", "low light", (300, 75, 20), "{:g} electrons for white", light.low_light),
    Fault("over-exposure", "over-exposure", (0.7, 1.4, 2.1), "{:g} stops", light.over_exposure),
    Fault("white-balance", "white balance", (0.35, 0.7, 1.2), "{:g} stops", light.white_balance),
    Fault("infrared", "infrared", (0.5, 1, 1.4), "{:.0%} infrared light", light.infrared),
    Fault("jpeg", "JPEG", (50, 30, 10), "quality {:g}", coding.jpeg),
    Fault("dirty-lens", "rain or dirt", (0.15, 0.35, 0.7), "{:.0%} covered", optics.dirty_lens),
    Fault("rotation", "rotation", (10, 20, 40), "{:g} degrees", framing.turned),
    Fault("small", "small subject", (0.75, 0.5, 0.3), "{:.0%} of its side", framing.small_subject),
    Fault("bands", "rolling bands", (0.25, 0.5, 0.8), "{:.0%} darker", light.rolling_bands),
    Fault(
        *("h264", "H.264 stream", (400, 200, 100), "{:g} kb/s", coding.h264),
        missing=coding.missing_encoder,
    ),
)
ALL, NONE = "all", "none"


def chosen(names: str) -> tuple[Fault, ...]:
    """The faults that a setting names: all, none, or names with commas between them.

    Raises:
        ValueError: naming what is not known.
    """
    if names in (ALL, NONE):
        return FAULTS if names == ALL else ()
    by_name = {fault.name: fault for fault in FAULTS}
    for name in names.split(","):
        if name not in by_name:
            known = ", ".join(by_name)
            raise ValueError(f"{name!r} is no fault: give all, none or some of {known}")
    return tuple(fault for fault in FAULTS if fault.name in names.split(","))


def title(name: str) -> str:
    """What people call a fault; the name itself if it is of another version."""
    return next((fault.title for fault in FAULTS if fault.name == name), name)


def frame_rules(rules: Preprocessing) -> Preprocessing:
    """The rules by which a photo becomes the frame that is spoiled."""
    return replace(
        rules, height_px=FRAME_SCALE * rules.height_px, width_px=FRAME_SCALE * rules.width_px
    )


def spoiled(frame: Pixels, fault: Fault, strength: Strength, seed: int) -> Pixels:
    """A frame with a fault.

    Args:
        frame: uint8 (h, w, 3), prepared by `frame_rules`.
        fault: one that is not `missing`.
        strength: of the fault.
        seed: of the photo. Direction, place and noise are the same at each strength.

    Returns:
        uint8 (h, w, 3).
    """
    rng = np.random.default_rng([seed, zlib.crc32(fault.name.encode())])
    return fault.render(frame, fault.amount(strength), rng)
