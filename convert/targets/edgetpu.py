"""Which operators an Edge TPU would run: by Coral's rules, and by its compiler if installed.

The rules are the published ones ("TensorFlow models on the Edge TPU", coral.ai, table of
supported operations, runtime 13 and newer). They say what may be mapped; only `edgetpu_compiler`
can say what is mapped, since it has limits that it calls "unspecified". There is no published table
of versions: the known ones are those of Coral's own MobileNetV2 models, which are mapped
completely.
"""

import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from convert.tflite.flatbuffer import holds_data, operator_name, parse
from device.workstation.conversion import (
    CompiledOperators,
    CompilerFigures,
    CpuOperator,
    EdgeTpuFigures,
    OperatorKind,
)

COMPILER = "edgetpu_compiler"
TIME_LIMIT_S = 300
MAPPED = "Mapped to Edge TPU"
STRANDED = "More than one subgraph is not supported"
KNOWN_VERSIONS = {
    "ADD": 2,
    "AVERAGE_POOL_2D": 1,
    "CONV_2D": 3,
    "DEPTHWISE_CONV_2D": 3,
    "MEAN": 2,
    "QUANTIZE": 1,
    "RESHAPE": 1,
    "SOFTMAX": 2,
}
"""Highest version in the compiled MobileNets that Coral publishes, by operator."""
MAX_SOFTMAX_ELEMENTS = 16_000
Z_MULTIPLE = 4
_BYTES = (schema.TensorType.INT8, schema.TensorType.UINT8)
_CONSTANTS = (*_BYTES, schema.TensorType.INT32)
_CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")
_ROW = re.compile(r"^([A-Z][A-Z0-9_]*)\s+(\d+)\s+(\S.*?)\s*$", re.MULTILINE)
_VERSION = re.compile(r"Edge TPU Compiler version (\S+)")


@dataclass(frozen=True)
class Placement:
    """Where one operator would run."""

    operator: str
    output: str
    """Name of its first output tensor."""
    reason: str
    """Why it would be left on the CPU; empty if the Edge TPU runs it."""

    @property
    def mapped(self) -> bool:
        """Whether the Edge TPU would run it."""
        return not self.reason


@dataclass(frozen=True)
class Compilation:
    """The result of `edgetpu_compiler` for a model."""

    version: str
    rows: tuple[tuple[str, int, str], ...]
    """Operator, count and status, as in its log."""
    model: bytes | None
    """The compiled model; None if there is none."""
    failure: str
    """Why there is no model; empty otherwise."""

    @property
    def left_on_cpu(self) -> list[str]:
        """The operators that were left on the CPU, with the compiler's reason."""
        return [
            f"{count} {name}: {status}" for name, count, status in self.rows if status != MAPPED
        ]

    def compiler_figures(self) -> CompilerFigures:
        """The record of it, without the model."""
        rows = tuple(CompiledOperators(*row) for row in self.rows)
        return CompilerFigures(self.version, self.failure, rows)


def place_operators(model: bytes) -> list[Placement]:
    """Where each operator would run, in order.

    The compiler maps one connected piece of the graph. So operators after one that interrupts the
    piece stay on the CPU, too; operators before the piece do not interrupt it.

    Raises:
        ConversionError: if the bytes are not a TFLite model.
    """
    tree = parse(model)
    graph = tree.subgraphs[0]
    placements: list[Placement] = []
    in_piece: set[int] = set()
    stranded: set[int] = set()
    for operator in graph.operators:
        facts = _Operator(tree, graph, operator)
        inputs = {int(index) for index in operator.inputs}
        reason = _limitation(facts)
        if inputs & stranded:
            reason = reason or STRANDED
        outputs = {int(index) for index in operator.outputs}
        if not reason:
            in_piece |= outputs
        elif inputs & (in_piece | stranded):
            stranded |= outputs
        placements.append(Placement(facts.name, facts.outputs[0].name.decode(), reason))
    return placements


class _Operator:
    """An operator with its tensors."""

    def __init__(self, tree: Any, graph: Any, operator: Any) -> None:
        code = tree.operatorCodes[operator.opcodeIndex]
        self.name, self.version = operator_name(code), int(code.version)
        self.options = operator.builtinOptions
        tensors = [graph.tensors[index] for index in operator.inputs if index >= 0]
        self.constants = [
            (t, tree.buffers[t.buffer].data) for t in tensors if holds_data(tree, t.buffer)
        ]
        self.inputs = [t for t in tensors if not holds_data(tree, t.buffer)]
        self.outputs = [graph.tensors[index] for index in operator.outputs]


def _limitation(op: _Operator) -> str:
    if op.name not in KNOWN_VERSIONS:
        return "not among the operators that this check knows"
    if op.version > KNOWN_VERSIONS[op.name]:
        return f"version {op.version}; known to be mapped is {KNOWN_VERSIONS[op.name]}"
    return _tensor_limitation(op) or _rule(op)


def _rule(op: _Operator) -> str:
    return _RULES[op.name](op) if op.name in _RULES else ""


def _tensor_limitation(op: _Operator) -> str:
    for tensor in (*op.inputs, *op.outputs):
        name = tensor.name.decode()
        if tensor.type not in _BYTES:
            return f"{name} is neither int8 nor uint8"
        if tensor.shapeSignature is not None and min(tensor.shapeSignature, default=1) < 0:
            return f"{name} has a size that is known only when it runs"
        if any(size != 1 for size in tensor.shape[:-3]):
            return f"{name} has more than its three innermost dimensions above 1"
    if any(tensor.type not in _CONSTANTS for tensor, _ in op.constants):
        return "its constants are neither int8, uint8 nor int32"
    return ""


def _convolution(op: _Operator) -> str:
    if len(op.inputs) != 1:
        return "its weights are no constants"
    same = op.options.dilationWFactor == op.options.dilationHFactor
    return "" if same else "its dilation differs between x and y"


def _mean(op: _Operator) -> str:
    rank = len(op.inputs[0].shape)
    if not op.constants:
        return "its axes are no constants"
    axes = {int(axis) % rank for axis in np.asarray(op.constants[0][1], np.uint8).view(np.int32)}
    if rank == 4 and 0 in axes:
        return "it reduces the batch dimension"
    if rank - 1 in axes and op.inputs[0].shape[-1] % Z_MULTIPLE:
        return f"it reduces a z dimension that is no multiple of {Z_MULTIPLE}"
    return ""


def _softmax(op: _Operator) -> str:
    shape = op.inputs[0].shape
    if any(size != 1 for size in shape[:-1]):
        return "its input has more than one dimension above 1"
    too_long = shape[-1] > MAX_SOFTMAX_ELEMENTS
    return f"its input has more than {MAX_SOFTMAX_ELEMENTS:,} elements" if too_long else ""


def _average_pool(op: _Operator) -> str:
    fused = op.options.fusedActivationFunction != schema.ActivationFunctionType.NONE
    return "it has a fused activation function" if fused else ""


_RULES: Mapping[str, Callable[[_Operator], str]] = {
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _convolution,
    "MEAN": _mean,
    "SOFTMAX": _softmax,
    "AVERAGE_POOL_2D": _average_pool,
}


def compile_model(model: bytes, time_limit_s: float = TIME_LIMIT_S) -> Compilation | None:
    """Run `edgetpu_compiler`; None if it is not on the PATH (it exists for Linux on x86-64 only).

    Args:
        model: the int8 model.
        time_limit_s: after this the compiler and its children are killed.
    """
    compiler = shutil.which(COMPILER)
    if compiler is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "model.tflite")
        source.write_bytes(model)
        output, failure = _run([compiler, "-s", "-o", folder, str(source)], time_limit_s)
        result, log = Path(folder, "model_edgetpu.tflite"), Path(folder, "model_edgetpu.log")
        if log.exists():
            output += "\n" + log.read_text("utf-8", "replace")
        compiled = result.read_bytes() if result.exists() and not failure else None
    if compiled is None and not failure:
        failure = "it ended without a model"
    version, rows = parse_log(output)
    return Compilation(version, rows, compiled, failure)


def parse_log(text: str) -> tuple[str, tuple[tuple[str, int, str], ...]]:
    """The compiler's version ("unknown" if it does not say) and its table of operators.

    The table is on its standard output (with `-s`) and in its log file; each row counts once.
    """
    version = _VERSION.search(text)
    rows = dict.fromkeys((name, int(count), why) for name, count, why in _ROW.findall(text))
    return (version.group(1) if version else "unknown"), tuple(rows)


def _run(command: Sequence[str], time_limit_s: float) -> tuple[str, str]:
    """The output of the command, and why it failed (empty if it did not)."""
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            output, _ = process.communicate(timeout=time_limit_s)
        except BaseException as error:
            # The compiler has child processes, which would keep running.
            os.killpg(process.pid, signal.SIGKILL)
            if isinstance(error, subprocess.TimeoutExpired):
                return "", f"it did not end within {time_limit_s:.0f} s"
            raise
    last = [line for line in output.splitlines() if line.strip()][-1:]
    return output, "" if process.returncode == 0 else (last or [f"status {process.returncode}"])[0]


def failures(placements: Sequence[Placement], compilation: Compilation | None) -> list[str]:
    """What keeps the model from running on an Edge TPU alone; the compiler has the last word."""
    if compilation is None:
        return [f"{v.operator} ({v.output}): {v.reason}" for v in placements if not v.mapped]
    if compilation.failure:
        return [f"{COMPILER} {compilation.version} failed: {compilation.failure}"]
    count = sum(number for _, number, _ in compilation.rows)
    if count != len(placements):
        return [f"{COMPILER}'s log tells of {count} of {len(placements)} operators"]
    return compilation.left_on_cpu


def edge_tpu_figures(
    placements: Sequence[Placement], compilation: Compilation | None, *, allowed: bool
) -> EdgeTpuFigures:
    """The record for `verification.json` and the manifest."""
    kinds = sorted(Counter(v.operator for v in placements).items())
    mapped = Counter(v.operator for v in placements if v.mapped)
    return EdgeTpuFigures(
        failures=tuple(failures(placements, compilation)),
        summary=summary(placements, compilation),
        cpu_operators_allowed=allowed,
        operators=len(placements),
        static_kinds=tuple(OperatorKind(name, count, mapped[name]) for name, count in kinds),
        static_cpu_operators=tuple(
            CpuOperator(v.operator, v.output, v.reason) for v in placements if not v.mapped
        ),
        compiler=compilation.compiler_figures() if compilation else None,
    )


def summary(placements: Sequence[Placement], compilation: Compilation | None) -> str:
    """One line for the terminal."""
    mapped = sum(placement.mapped for placement in placements)
    line = f"Edge TPU: by the published rules it runs {mapped} of {len(placements)} operators; "
    if compilation is None:
        return line + f"{COMPILER} is not installed here, so nothing was compiled"
    done = sum(count for _, count, status in compilation.rows if status == MAPPED)
    return line + f"{COMPILER} {compilation.version} mapped {done}"
