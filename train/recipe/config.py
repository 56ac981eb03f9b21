"""The settings of training, in one frozen record."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from device.contract.preprocess import Preprocessing
from device.workstation.training import FitSettings
from train.errors import TrainingError
from train.network.backbone import Architecture
from train.network.limits import EPOCHS, SEEDS, TRAIN_PHOTOS, VIEWS


def check_limits(config: object, limits: Mapping[str, tuple[int, int]]) -> None:
    """Refuse settings outside their limits, both inclusive.

    Raises:
        TrainingError: naming the setting.
    """
    for name, (low, high) in limits.items():
        if not low <= getattr(config, name) <= high:
            raise TrainingError(f"{name}={getattr(config, name)} is not in {low}..{high}")


@dataclass(frozen=True)
class TrainConfig(FitSettings):
    """All settings that affect the numbers; file locations are arguments of `fit.run`."""

    architecture: Architecture = field(default_factory=Architecture)
    seed: int = 0
    epochs: int = 10
    """Epochs of fine-tuning; 0 trains only the head."""
    views: int = 8
    """Cached views per training photo; the first is the photo as the device prepares it."""
    robust: bool = True
    """Whether half of the views show a fault of cameras."""
    train_photos: int = 100_000
    """At most so many photos of the training part are trained on; of more, a sample is."""
    first_trained_block: int = 0
    """Blocks from this one on, the last convolution and the head are fine-tuned; 0 becomes what the
    backbone's recipe says."""
    batch_size: int = 32
    learning_rate: float = 3e-4
    weight_decay: float = 1e-2
    label_smoothing: float = 0.0
    """Share of each label that all classes have alike."""
    mixup: float = 0.2
    """Each picture is blended with another by a random share from 0 to this; its label stays."""
    ema_decay: float = 0.995
    """Decay per step of the averaged weights, which are validated and kept."""
    teacher_share: float = 0.7
    """Share of a teacher in the loss, if there is one; the labels have the rest."""
    temperature: float = 2.0
    """What the logits of teacher and pupil are divided by when they are compared."""

    def __post_init__(self) -> None:
        """Refuse settings that cannot be trained with.

        Raises:
            TrainingError: naming the setting.
        """
        spec = self.architecture.spec
        if not self.first_trained_block:
            object.__setattr__(self, "first_trained_block", spec.first_trained_block)
        limits = {"epochs": EPOCHS, "views": VIEWS, "batch_size": (1, 4096)}
        limits["train_photos"] = TRAIN_PHOTOS
        check_limits(self, {**limits, "first_trained_block": (2, spec.blocks - 1), "seed": SEEDS})

    @classmethod
    def of(cls, settings: FitSettings) -> "TrainConfig":
        """The settings that a finished training has recorded.

        Raises:
            TrainingError: as for the settings themselves.
        """
        given = {**vars(settings), "architecture": Architecture(**vars(settings.architecture))}
        return cls(**given)

    @property
    def preprocessing(self) -> Preprocessing:
        """The device's rules for this input size."""
        size = self.architecture.size_px
        return Preprocessing(height_px=size, width_px=size)

    @property
    def cut(self) -> str:
        """Name of the last frozen layer, whose output is cached."""
        return f"block_{self.first_trained_block - 1}"

    def record(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)
