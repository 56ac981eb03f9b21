"""The TFLite interpreters that a device may have, behind one name."""

import importlib
import importlib.metadata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from device.errors import RuntimeUnavailableError, UsageError

MODULES = {
    "ai-edge-litert": "ai_edge_litert.interpreter",
    "tflite-runtime": "tflite_runtime.interpreter",
}
"""By distribution name, the preferred first."""

AUTO = "auto"


@dataclass(frozen=True)
class Runtime:
    """An interpreter class that imported here."""

    name: str
    version: str
    interpreter: Callable[..., Any]


def find(choice: str = AUTO) -> Runtime:
    """Import the chosen runtime, or the first that there is.

    Raises:
        UsageError: if `choice` is no runtime.
        RuntimeUnavailableError: if it, or with "auto" none, can be imported.
    """
    if choice != AUTO and choice not in MODULES:
        raise UsageError(f"--runtime {choice}: choose auto, {', '.join(MODULES)}")
    failures = []
    for name in MODULES if choice == AUTO else (choice,):
        try:
            module = importlib.import_module(MODULES[name])
            return Runtime(name, importlib.metadata.version(name), module.Interpreter)
        except Exception as error:
            # A runtime built for NumPy 1 fails under NumPy 2 with errors of several types.
            failures.append(f"{name}: {str(error).splitlines()[0] if str(error) else error!r}")
    raise RuntimeUnavailableError(
        f"no TFLite runtime here ({'; '.join(failures)}): install ai-edge-litert, or on "
        "Python <= 3.11 with NumPy 1 tflite-runtime"
    )
