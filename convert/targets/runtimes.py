"""Which runtimes can run a model: the check before anything ships.

A converter raises an operator's version when it uses something new, and an older runtime then
refuses the whole model on the device: `Didn't find op for builtin opcode 'CONV_2D' version '5'`
(tensorflow/tensorflow#43232). `runtimes.json` holds the highest version of each operator that
each runtime loads, as `convert.targets.measure_runtimes` measured it on the runtimes themselves.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from convert.errors import ConversionError, GateError

TABLE = Path(__file__).with_name("runtimes.json")
REQUIRED = ("tflite-runtime", "ai-edge-litert")
"""Packages of which at least one measured version must run each shipped model."""


@dataclass(frozen=True)
class Support:
    """The operators that one release of a runtime supports."""

    package: str
    version: str
    operators: dict[str, int]
    """Highest version that it loads, by operator name; 0 if it loads none."""

    @property
    def name(self) -> str:
        """As pip names it: "tflite-runtime 2.14.0"."""
        return f"{self.package} {self.version}"

    def refusals(self, operators: Mapping[str, int]) -> list[str]:
        """Why this runtime would refuse a model's operators (highest version by name)."""
        return [
            f"{self.name} has {name} up to version {self.operators.get(name, 0)}, the model needs "
            f"version {version}"
            for name, version in sorted(operators.items())
            if version > self.operators.get(name, 0)
        ]


def read_runtimes(path: Path = TABLE) -> tuple[Support, ...]:
    """The measured runtimes, for each package the oldest first.

    Raises:
        ConversionError: if the table is damaged.
    """
    try:
        rows = json.loads(path.read_text("utf-8"))
        return tuple(Support(r["package"], r["version"], dict(r["operators"])) for r in rows)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConversionError(f"{path}: damaged ({error}); run `make runtimes`") from error


def runtimes_text(table: Sequence[Support]) -> str:
    """The content of `runtimes.json`."""
    return json.dumps([asdict(support) for support in table], indent=2, sort_keys=True) + "\n"


def oldest_runtimes(operators: Mapping[str, int], table: Sequence[Support]) -> dict[str, str]:
    """By package, the oldest measured version that runs these operators.

    Raises:
        GateError: if a required package has no such version; names operator, version and runtime.
    """
    found: dict[str, str] = {}
    for support in table:
        if not support.refusals(operators):
            found.setdefault(support.package, support.version)
    missing = [
        "; ".join([s for s in table if s.package == package][-1].refusals(operators))
        for package in REQUIRED
        if package not in found
    ]
    if missing:
        raise GateError(
            f"the int8 model would not load on a device: {'; '.join(missing)}. Convert with the "
            "TensorFlow version of the lock file (`make setup`)"
        )
    return found


def runtime_needs(operators: Mapping[str, int], table: Sequence[Support]) -> dict[str, Any]:
    """The manifest's entries on what the model needs; raises as `oldest_runtimes` does."""
    return {
        "operators": dict(sorted(operators.items())),
        "oldest_runtime": oldest_runtimes_text(operators, table),
    }


def oldest_runtimes_text(operators: Mapping[str, int], table: Sequence[Support]) -> str:
    """The same as `oldest_runtimes`, as text."""
    found = oldest_runtimes(operators, table)
    return " or ".join(f"{name} {version}" for name, version in found.items())
