"""The files of `build/sweep`: what came of each trial, and what an emulator counted of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from device.workstation.conversion import Verdict
from device.workstation.records import Record

SWEEP = "sweep.json"
TRIAL = "trial.json"
INSTRUCTIONS = "instructions.json"
LOG = "log.txt"
"""What the steps of a trial said."""
CORES = {"cortex-a53": "A53", "cortex-a72": "A72", "cortex-a76": "A76"}
"""Processors of Raspberry Pis, as emulators name them, and as people do."""


@dataclass(frozen=True)
class Judged:
    """The int8 model's answers on one part of the split."""

    n: int
    events: int
    """Occasions at which the n photos were taken."""
    accuracy: float
    interval: tuple[float, float]
    """95%, by event."""
    right: str
    """For each photo in the order of the split a 1 if it is named right, and a 0 if not."""


@dataclass(frozen=True)
class Cost:
    """What the int8 model needs."""

    model_bytes: int
    macs: int
    """Multiply-accumulate operations of one inference."""
    invoke_ms: float
    """Processor time of one inference on one thread of the machine that measured it, the median."""
    memory_mib: float | None
    """Highest resident memory of a process that loads the bundle and classifies; None if the system
    does not say."""
    runtime: str
    """That measured it."""


@dataclass(frozen=True)
class Figures:
    """What is known of a network that was trained, quantized and verified."""

    model_sha256: str
    validation: Judged
    """Chooses."""
    test: Judged
    """Shows how good the chosen one is."""
    float_accuracy: float
    """Of the test part."""
    verdict: Verdict
    edge_tpu_failures: tuple[str, ...]
    """Operators that an Edge TPU would leave to the CPU."""
    cost: Cost
    training_s: float


@dataclass(frozen=True)
class Trial(Record):
    """`trial.json`: one network of the sweep."""

    SCHEMA: ClassVar[int] = 1
    MADE_BY: ClassVar[str] = "make sweep"

    backbone: str
    size_px: int
    fingerprint: str
    """Of its photos."""
    error: str
    """Why there are no figures, on one line; empty if there are."""
    figures: Figures | None

    @property
    def name(self) -> str:
        """As `SWEEP=` and `USE=` take it."""
        return f"{self.backbone}@{self.size_px}"


@dataclass(frozen=True)
class Sweep(Record):
    """`sweep.json`: which trials the page compares."""

    SCHEMA: ClassVar[int] = 1
    MADE_BY: ClassVar[str] = "make sweep"

    trials: tuple[str, ...]
    """Their names, which are those of their folders."""
    data: str
    """One line on the photos."""
    made_on: str
    """The day, the commit and the machine."""


@dataclass(frozen=True)
class Instructions(Record):
    """`instructions.json`: what one inference costs on emulated processors."""

    SCHEMA: ClassVar[int] = 1
    MADE_BY: ClassVar[str] = "make sweep-arm"

    model_sha256: str
    """Of the model that they were counted of."""
    runtime: str
    by_core: Mapping[str, int]
    """Instructions of one invoke on one thread, by a name of `CORES`."""


def read_trials(folder: Path) -> tuple[Sweep, list[Trial]]:
    """The last sweep of a folder, with its trials in the order in which they were named.

    Raises:
        RecordError: if a file is missing, damaged or of another version.
    """
    sweep = Sweep.read(folder / SWEEP)
    return sweep, [Trial.read(folder / name / TRIAL) for name in sweep.trials]


def read_counts(folder: Path, figures: Figures) -> Mapping[str, int]:
    """The instructions by core that were counted of a trial's model; empty if none were.

    Raises:
        RecordError: if the file is damaged.
    """
    path = folder / INSTRUCTIONS
    counted = Instructions.read(path) if path.exists() else None
    same = counted is not None and counted.model_sha256 == figures.model_sha256
    return counted.by_core if counted is not None and same else {}
