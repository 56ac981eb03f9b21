"""A bundle's model for a microcontroller: a C array, and how much memory it needs.

The arena is measured in the `tflite-micro` interpreter itself (the same C++ on this machine), and
its outputs are compared with the bundle's golden ones. Pointers have 8 bytes here and 4 on a
Cortex-M, so the figure is an upper bound there; kernels tuned for a chip may need additional
scratch memory.
"""

import json
import re
import string
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from convert.errors import GateError, InputError
from convert.tflite.flatbuffer import read_facts
from device import child
from device.contract.bundle import GOLDEN, MODEL, Bundle
from device.inference.outputs import SHIPPED_ORDER
from device.workstation.conversion import claims_of
from device.workstation.wording import photos_in_events

TIME_LIMIT_S = 300
TOLERANCE_STEPS = 32
"""Largest difference from the golden outputs, of 256 steps. Reference kernels round differently;
the largest difference so far was 26."""
FEATURE_TOLERANCE_STEPS = 64
"""The same for the features: one of a thousand may be far off. The largest so far was 24."""
ARENA_STEP_BYTES = 1024
BYTES_A_LINE = 16
PLAIN = (string.ascii_letters + string.digits + " _-.,()").encode()
"""Bytes that need no escape in a C++ string, whatever follows them."""
RESOLVERS = {
    "ADD": "AddAdd",
    "CONV_2D": "AddConv2D",
    "DEPTHWISE_CONV_2D": "AddDepthwiseConv2D",
    "MEAN": "AddMean",
    "QUANTIZE": "AddQuantize",
    "SOFTMAX": "AddSoftmax",
}
"""Methods of `tflite::MicroMutableOpResolver` by operator."""

_RUN = """
import json, sys
import numpy as np
from tflite_micro import runtime
from pathlib import Path
from device.inference.outputs import roles
folder, arena_bytes = Path(sys.argv[1]), int(sys.argv[2]) or None
model = (folder / "model_int8.tflite").read_bytes()
golden = np.load(folder / "golden.npz", allow_pickle=False)
interpreter = runtime.Interpreter.from_bytes(model, arena_size=arena_bytes)
worst, agree = {}, 0
for number, pixels in enumerate(golden["inputs"]):
    interpreter.set_input(pixels[None], 0)
    interpreter.invoke()
    outputs = [np.array(interpreter.get_output(index)) for index in range(3)]
    names = roles([output.shape for output in outputs], golden["probabilities"].shape[1])
    for name, output in zip(names, outputs, strict=True):
        array = output[0].astype(int)
        expected = golden[name][number].astype(int)
        worst[name] = max(worst.get(name, 0), int(np.abs(array - expected).max()))
        if name == "probabilities":
            agree += int(array.argmax() == expected.argmax())
interpreter.print_allocations()
features = worst.pop("features")
steps = {"max_steps": max(worst.values()), "max_feature_steps": features}
print(json.dumps({**steps, "agree": agree, "n": len(golden["inputs"])}))
"""
_TOTAL = re.compile(r"Arena allocation total (\d+) bytes")


@dataclass(frozen=True)
class Measurement:
    """What `tflite-micro` measured."""

    arena_bytes: int
    """The smallest arena that works here, rounded up to a KiB."""
    max_steps: int
    """Largest difference from golden probabilities and maps, in steps of 1/256 of the range."""
    max_feature_steps: int
    """The same for the features."""
    agree: int
    """Golden photos of `n` with the same best label."""
    n: int


def measure_arena(bundle: Bundle) -> Measurement:
    """Run a bundle's golden photos in the `tflite-micro` interpreter, in a separate process.

    Raises:
        InputError: if the interpreter is not installed or cannot run the model.
        GateError: if its outputs are too far from the golden ones.
    """
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, MODEL).write_bytes(bundle.model)
        Path(folder, GOLDEN).write_bytes(bundle.golden)
        completed = _run(folder, 0)
        used = _TOTAL.search(completed.stderr + completed.stdout)
        if completed.returncode != 0 or used is None:
            raise InputError(
                f"tflite-micro cannot run the model ({_last_line(completed.stderr)}); `make setup` "
                "installs it on Linux x86-64"
            )
        # Planning needs a little more than the plan; an arena that is too small ends the process.
        arena_bytes = -(-int(used.group(1)) // ARENA_STEP_BYTES) * ARENA_STEP_BYTES
        while (completed := _run(folder, arena_bytes)).returncode != 0:
            arena_bytes += ARENA_STEP_BYTES
            if arena_bytes > 2 * int(used.group(1)):
                raise InputError(
                    f"tflite-micro needs more memory in every run ({_last_line(completed.stderr)})"
                )
    (line,) = [line for line in completed.stdout.splitlines() if line.startswith("{")]
    result = Measurement(arena_bytes, **json.loads(line))
    _check(result)
    return result


def _check(found: Measurement) -> None:
    far = found.max_steps > TOLERANCE_STEPS or found.max_feature_steps > FEATURE_TOLERANCE_STEPS
    if far or found.agree < found.n:
        raise GateError(
            f"outputs of tflite-micro differ from the golden ones by up to {found.max_steps} "
            f"steps of 256, features by up to {found.max_feature_steps}, with the same label on "
            f"{found.agree} of {found.n} photos"
        )


def _run(folder: str, arena_bytes: int) -> "subprocess.CompletedProcess[str]":
    try:
        return child.run("-c", _RUN, folder, str(arena_bytes), time_limit_s=TIME_LIMIT_S)
    except subprocess.TimeoutExpired as error:
        raise InputError(f"tflite-micro did not finish within {TIME_LIMIT_S} s") from error


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no message"])[-1]


def sources(bundle: Bundle, measured: Measurement) -> dict[str, str]:
    """The files to add to a firmware, by name; the same bundle gives the same text."""
    operators = sorted(read_facts(bundle.model).operators)
    return {
        "model.h": _header(bundle, measured),
        "model.cc": _array(bundle.model),
        "README.md": _readme(bundle, measured, operators),
    }


def _header(bundle: Bundle, measured: Measurement) -> str:
    labels = ", ".join(map(_literal, bundle.labels))
    return f"""\
#ifndef FIELDGUIDE_MODEL_H_
#define FIELDGUIDE_MODEL_H_

#include <cstddef>
#include <cstdint>

constexpr std::size_t kModelBytes = {len(bundle.model)};
constexpr std::size_t kArenaBytes = {measured.arena_bytes};
constexpr int kInputHeight = {bundle.preprocessing.height_px};
constexpr int kInputWidth = {bundle.preprocessing.width_px};
constexpr int kLabelCount = {len(bundle.labels)};
constexpr const char* kLabels[kLabelCount] = {{{labels}}};

extern const std::uint8_t kModel[kModelBytes];

#endif  // FIELDGUIDE_MODEL_H_
"""


def _literal(text: str) -> str:
    """A C++ string of the UTF-8 bytes, whatever encoding the compiler assumes for source files."""
    parts = [chr(b) if b in PLAIN else f"\\{b:03o}" for b in text.encode()]
    return f'"{"".join(parts)}"'


def _array(model: bytes) -> str:
    lines = [
        "  " + " ".join(f"0x{byte:02x}," for byte in model[start : start + BYTES_A_LINE])
        for start in range(0, len(model), BYTES_A_LINE)
    ]
    # const keeps the array in flash. Flatbuffers need an alignment of 16 bytes.
    start = '#include "model.h"\n\nalignas(16) const std::uint8_t kModel[kModelBytes] = {\n'
    return start + "\n".join(lines) + "\n};\n"


def _readme(bundle: Bundle, measured: Measurement, operators: list[str]) -> str:
    v = claims_of(bundle.manifest)
    low, high = v.int8_accuracy_interval
    resolvers = "\n".join(f"    resolver.{RESOLVERS[name]}();" for name in operators)
    records = bundle.manifest["outputs"]
    outputs = "\n".join(
        f"- {number}, `{name}`: {records[name]['shape']} {records[name]['dtype']}, real value = "
        f"(raw - {records[name]['zero_point']}) * {records[name]['scale']:.9g}"
        for number, name in enumerate(SHIPPED_ORDER)
    )
    return f"""\
# {bundle.name}, for TensorFlow Lite for Microcontrollers

Made from {bundle.data}. Right on {v.int8_accuracy:.2%} of {photos_in_events(v.n, v.events)}
that were not trained on (95% {low:.2%} to {high:.2%}).

- flash: {len(bundle.model):,} bytes of model (`model.cc`), plus the interpreter
- arena: {measured.arena_bytes:,} bytes, measured in tflite-micro on a 64-bit machine
- `tflite-micro` was at most {measured.max_steps} steps of 256 from the golden outputs, with the
  same label on {measured.agree} of {measured.n} golden photos; features were up to
  {measured.max_feature_steps} steps off

Operators:

    tflite::MicroMutableOpResolver<{len(operators)}> resolver;
{resolvers}

Input: RGB bytes, [1, {bundle.preprocessing.height_px}, {bundle.preprocessing.width_px}, 3] uint8,
the centred square of the picture; the model scales them itself. Outputs:

{outputs}

Labels: `kLabels` in `model.h`.
"""
