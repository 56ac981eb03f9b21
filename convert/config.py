"""The settings of conversion and verification."""

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Gate:
    """What the int8 model must reach on the test part before it may ship.

    Counts are rounded in the model's favour where the part is small: of 20 photos one is 5
    points, and proves nothing. So one lost photo and two disagreements are always allowed.
    """

    max_loss_points: float = 1.0
    """Float accuracy minus int8 accuracy, in percentage points."""
    min_agreement: float = 0.97
    """Share of photos on which float and int8 name the same class."""
    min_export_agreement: float = 0.995
    """The same for Keras against float TFLite, which should be one function."""
    always_allowed_losses: int = 1
    always_allowed_disagreements: int = 2

    def record(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)


@dataclass(frozen=True)
class ConvertConfig:
    """Everything that changes the converted model or the verdict on it."""

    calibration_photos: int = 100
    """Size of the representative dataset, all from the training part."""
    seed: int = 0
    golden_photos: int = 8
    gate: Gate = field(default_factory=Gate)
    allow_regression: bool = False
    """Ship although the gate fails; recorded in the manifest."""
    allow_cpu_operators: bool = False
    """Ship although an Edge TPU would leave operators to the CPU; recorded in the manifest."""
