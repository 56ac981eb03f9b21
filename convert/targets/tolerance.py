"""How far a runtime may be from the golden outputs: exactly as far as was measured.

With ai-edge-litert, XNNPACK and per-channel weights, a board's class map and features have the same
bytes as the workstation's, and a probability is at most one step off: `make test-arm` proves that,
and nothing here can loosen it. Other kernels round differently; how much depends on the network.
`make test-arm` measures them on each emulated core with the bundle's own network.
`tolerances.json` has measurements on other networks, for a network that was not measured.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from convert.errors import ConversionError

TABLE = Path(__file__).with_name("tolerances.json")
PROMISED = {
    "ai-edge-litert": {"max_steps": 1, "max_other_top1": 0, "exact": ["class_map", "features"]}
}
"""TFLite computes SOFTMAX itself, on aarch64 from a 16-bit table instead of a float one: if a
probability is half-way between two steps, the two may round to different sides."""


@dataclass(frozen=True, order=True)
class Measured:
    """One network on one runtime and core, compared with the golden outputs of the same photos."""

    runtime: str
    version: str
    core: str
    """The processor: "cortex-a72"; "x86_64" for a workstation."""
    model_sha256: str
    photos: int
    max_steps: int
    """The largest difference of a probability or of the class map, in steps of quantization."""
    max_feature_steps: int | None
    """The same for the features, each of which counts less; None: not measured."""
    other_top1: int
    """Number of photos with another most probable class."""

    @property
    def case(self) -> tuple[str, str, str, str]:
        """The key of a measurement; a new one with the same key replaces the old one."""
        return (self.runtime, self.version, self.core, self.model_sha256)


def read_tolerances(path: Path = TABLE) -> tuple[Measured, ...]:
    """The measurements; an empty tuple if the file does not exist.

    Raises:
        ConversionError: if the table is damaged.
    """
    try:
        return tuple(Measured(**row) for row in json.loads(path.read_text("utf-8")))
    except FileNotFoundError:
        return ()
    except (OSError, ValueError, TypeError) as error:
        raise ConversionError(
            f"{path}: damaged, or of another version ({error}); remove it and run `make test-arm`"
        ) from error


def tolerances_text(table: Iterable[Measured]) -> str:
    """The content of `tolerances.json`."""
    return json.dumps([asdict(row) for row in sorted(table)], indent=2, sort_keys=True) + "\n"


def merged(old: Iterable[Measured], new: Iterable[Measured]) -> tuple[Measured, ...]:
    """All rows; new rows replace old ones of the same case."""
    return tuple({row.case: row for row in (*old, *new)}.values())


def tolerance_by_runtime(model_sha256: str, table: Sequence[Measured]) -> dict[str, Any]:
    """The manifest's entries: by runtime, the largest difference and the top-1 agreement.

    They are for this model if it was measured on every core that the table has for the runtime.
    Otherwise they are the worst of all models: an unmeasured core could be further off.
    """
    runtimes = sorted({row.runtime for row in table})
    return {**{name: _worst(name, model_sha256, table) for name in runtimes}, **PROMISED}


def _worst(runtime: str, model_sha256: str, table: Sequence[Measured]) -> dict[str, Any]:
    rows = [row for row in table if row.runtime == runtime]
    own = [row for row in rows if row.model_sha256 == model_sha256]
    cores = sorted({row.core for row in rows})
    whole = cores == sorted({row.core for row in own})
    counted = own if whole else rows
    return {
        "max_steps": max(row.max_steps for row in counted),
        "max_feature_steps": _largest([row.max_feature_steps for row in counted]),
        "max_other_top1": max(row.other_top1 for row in counted),
        "photos": min(row.photos for row in counted),
        "cores": cores,
        "measured_on": "this model" if whole else "other models",
    }


def _largest(steps: Sequence[int | None]) -> int | None:
    """None if one was not measured: it may be larger."""
    known = [number for number in steps if number is not None]
    return max(known) if len(known) == len(steps) else None
