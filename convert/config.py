"""The settings of conversion and verification."""

from dataclasses import dataclass, field

from device.errors import UsageError
from device.workstation.faults.catalogue import ALL, chosen


@dataclass(frozen=True)
class Gate:
    """What the int8 model must reach on held-out photos before it may ship."""

    max_loss_points: float = 1.0
    """Float accuracy minus int8 accuracy, in percentage points."""
    loss_to_rule_out_points: float = 3.0
    """If there are too few photos to rule out this loss (one-sided 95%), no model passes."""
    max_class_loss_points: float = 5.0
    """No class may lose significantly more of its photos than this."""
    min_agreement: float = 0.97
    """Share of photos for which float and int8 predict the same class."""
    min_export_agreement: float = 0.995
    """The same for Keras and float TFLite, which should compute the same function."""
    max_mean_divergence_bits: float = 0.03
    """Jensen-Shannon divergence of int8's probabilities from float's: three times what TensorFlow's
    own calibrator gives. It detects damage even with few photos."""
    always_allowed_losses: int = 1
    always_allowed_disagreements: int = 2
    """Allowed in small parts, where one photo is several points, if it may be chance."""
    strict: bool = False
    """Whether a model may not ship if there are too few photos to tell."""

    def __post_init__(self) -> None:
        """Refuse limits that no model, or every model, would meet.

        Raises:
            UsageError: if one is out of range.
        """
        for name, value, most in (
            ("--max-loss-points", self.max_loss_points, 100),
            ("--min-agreement", self.min_agreement, 1),
        ):
            if not 0 <= value <= most:
                raise UsageError(f"{name} {value:g}: give a number from 0 to {most}")


@dataclass(frozen=True)
class ConvertConfig:
    """All settings that affect the converted model or the verdict on it."""

    calibration_photos: int = 100
    """Size of the representative dataset, all from the training part."""
    seed: int = 0
    gate: Gate = field(default_factory=Gate)
    allow_regression: bool = False
    """Ship even if the gate fails; recorded in the manifest."""
    allow_cpu_operators: bool = False
    """Ship even if an Edge TPU would leave operators to the CPU; recorded in the manifest."""

    faults: str = ALL
    """Faults of cameras under which the models are measured: all, none, or names with commas."""

    def __post_init__(self) -> None:
        """Refuse an empty calibration set, and faults that do not exist.

        Raises:
            UsageError: naming the setting.
        """
        if self.calibration_photos < 1:
            raise UsageError(f"--calibration-photos {self.calibration_photos}: give at least 1")
        try:
            chosen(self.faults)
        except ValueError as error:
            raise UsageError(f"--faults {self.faults}: {error}") from error
