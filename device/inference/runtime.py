"""Finding and loading a TFLite interpreter, whichever the device has."""

import ctypes
import glob
import importlib
import importlib.metadata
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from device.contract.runtimes import AUTO, EDGETPU, LITERT, TFLITE
from device.errors import RuntimeUnavailableError, UsageError, one_line

MODULES = {LITERT: "ai_edge_litert.interpreter", TFLITE: "tflite_runtime.interpreter"}
"""By distribution name, in order of preference."""
EDGETPU_LIBRARY = "libedgetpu.so.1"
EDGETPU_NEEDS = (
    "a libedgetpu that was built for this runtime (the stock one crashes with newer runtimes: "
    "google-coral/edgetpu#812)"
)
LIBRARY_FOLDERS = ("/usr/lib", "/usr/lib/*-linux-gnu*", "/usr/local/lib", "/lib")

CHOICES = (AUTO, *MODULES, EDGETPU)


@dataclass(frozen=True)
class Runtime:
    """An interpreter class that could be imported here."""

    name: str
    version: str
    interpreter: Callable[..., Any]


def find(choice: str = AUTO) -> Runtime:
    """Import the chosen runtime, or with "auto" the first one that works.

    Raises:
        UsageError: if `choice` is not a runtime.
        RuntimeUnavailableError: if it (with "auto": every one) cannot be imported.
    """
    if choice == EDGETPU:
        return _with_edgetpu()
    if choice != AUTO and choice not in MODULES:
        raise UsageError(f"--runtime {choice}: choose auto, {', '.join(CHOICES[1:])}")
    failures = []
    for name in MODULES if choice == AUTO else (choice,):
        try:
            module = importlib.import_module(MODULES[name])
            return Runtime(name, importlib.metadata.version(name), module.Interpreter)
        except Exception as error:
            # A runtime built for NumPy 1 fails under NumPy 2 with errors of several types.
            failures.append(f"{name}: {one_line(error)}")
    raise RuntimeUnavailableError(
        f"no TFLite runtime here ({'; '.join(failures)}): install ai-edge-litert, or on "
        "Python <= 3.11 with NumPy 1 tflite-runtime"
    )


def is_installed(name: str) -> bool:
    """Whether a runtime's module, or the Edge TPU's library, is installed; loads nothing."""
    if name == EDGETPU:
        return any(glob.glob(f"{folder}/{EDGETPU_LIBRARY}") for folder in LIBRARY_FOLDERS)
    return importlib.util.find_spec(MODULES[name].partition(".")[0]) is not None


def _with_edgetpu() -> Runtime:
    runtime = find(AUTO)
    module = importlib.import_module(MODULES[runtime.name])
    try:
        ctypes.CDLL(EDGETPU_LIBRARY)
        delegate = module.load_delegate(EDGETPU_LIBRARY)
    except OSError as error:
        raise RuntimeUnavailableError(
            f"{EDGETPU_LIBRARY} is not installed ({error}): install {EDGETPU_NEEDS}"
        ) from error
    except ValueError as error:
        # The library gives no reason (google-coral/edgetpu#873).
        raise RuntimeUnavailableError(
            f"{EDGETPU_LIBRARY} does not load: no Edge TPU plugged in, no permission for it "
            "(group plugdev), or another process holds it"
        ) from error
    interpreter = partial(runtime.interpreter, experimental_delegates=[delegate])
    return Runtime(EDGETPU, runtime.version, interpreter)
