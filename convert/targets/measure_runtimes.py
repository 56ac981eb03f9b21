"""Measures which version of each operator an installed runtime loads.

Each operator of a model becomes a model of its own, once per version number, which the runtime of
another environment tries to load. A runtime refuses an unknown version when it looks up the
operator, before it computes anything.
"""

import copy
import json
import subprocess
import tempfile
from pathlib import Path

from convert.errors import InputError
from convert.targets.runtimes import Support
from convert.tflite.flatbuffer import holds_data, operator_name, pack, parse

HIGHEST_VERSION = 16
"""Above every version of an operator in use here that TFLite has defined (CONV_2D: 8, in 2026)."""
TIME_LIMIT_S = 120

_LOADS = """
import importlib.metadata, json, os, sys
try:
    from tflite_runtime.interpreter import Interpreter
    package = "tflite-runtime"
except ImportError:
    from ai_edge_litert.interpreter import Interpreter
    package = "ai-edge-litert"
loads = []
for name in sorted(os.listdir(sys.argv[1])):
    with open(os.path.join(sys.argv[1], name), "rb") as file:
        content = file.read()
    try:
        Interpreter(model_content=content).allocate_tensors()
        loads.append(name)
    except Exception as error:
        if "Didn't find op" not in str(error):
            raise
print(json.dumps([package, importlib.metadata.version(package), loads]))
"""


def one_operator(model: bytes, name: str, version: int) -> bytes:
    """A model with only the first operator of this name, with another version number.

    Raises:
        InputError: if the model has no such operator.
    """
    tree = parse(model)
    graph = tree.subgraphs[0]
    for operator in graph.operators:
        code = tree.operatorCodes[operator.opcodeIndex]
        if operator_name(code) == name:
            break
    else:
        raise InputError(f"the model has no {name}")
    operator, code = copy.copy(operator), copy.copy(code)
    operator.opcodeIndex, code.version = 0, version
    used = [*operator.inputs, *operator.outputs]
    tensors = [copy.copy(graph.tensors[index]) for index in used]
    constant = [holds_data(tree, tensor.buffer) for tensor in tensors]
    buffers = [tree.buffers[0]]
    for tensor in tensors:
        buffers.append(tree.buffers[tensor.buffer])
        tensor.buffer = len(buffers) - 1
    count = len(operator.inputs)
    operator.inputs, operator.outputs = list(range(count)), list(range(count, len(used)))
    graph.operators, graph.tensors = [operator], tensors
    graph.inputs = [index for index in operator.inputs if not constant[index]]
    graph.outputs = operator.outputs
    tree.operatorCodes, tree.buffers, tree.metadata = [code], buffers, []
    tree.signatureDefs = []
    return pack(tree)


def measure_runtime(python: Path, model: bytes, operators: list[str]) -> Support:
    """Measure which versions the runtime in another environment loads.

    Args:
        python: that environment's interpreter; it needs only the runtime.
        model: a model that has each of `operators`.
        operators: their names.

    Raises:
        InputError: if there is no runtime, or it fails for another reason.
    """
    with tempfile.TemporaryDirectory() as folder:
        for name in operators:
            for version in range(1, HIGHEST_VERSION + 1):
                path = Path(folder, f"{name}.{version}")
                path.write_bytes(one_operator(model, name, version))
        command = [str(python), "-c", _LOADS, folder]
        try:
            run = subprocess.run(
                command, capture_output=True, text=True, timeout=TIME_LIMIT_S, check=True
            )
        except (OSError, subprocess.SubprocessError) as error:
            message = str(getattr(error, "stderr", "") or error).strip().splitlines()[-1]
            raise InputError(f"{python}: its runtime cannot be measured ({message})") from error
    package, version, loads = json.loads(run.stdout.splitlines()[-1])
    highest = dict.fromkeys(sorted(operators), 0)
    for file in loads:
        name, number = file.rsplit(".", 1)
        highest[name] = max(highest[name], int(number))
    return Support(package, version, highest)
