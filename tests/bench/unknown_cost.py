"""`python -m tests.bench.unknown_cost`: what it costs a device to say how strange a picture is.

The bundle's model is compared with itself without the output of features and what computes it
alone: the bytes of the other outputs on all golden inputs, and the processor time of an inference,
in turn. Then what is made of the outputs is compared with and without a distance.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from ai_edge_litert.interpreter import Interpreter

from convert.tflite.flatbuffer import pack, parse
from device.console import guarded
from device.contract import bundle as contract
from device.inference.classifier import Classifier

ROUNDS, CALLS = 7, 500
FEATURES = 2
"""Place of the features among the outputs."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print one line for each figure; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.unknown_cost", description=__doc__)
    parser.add_argument("--bundle", type=Path, default=Path("build/bundle"))
    parser.add_argument("--rounds", type=int, default=400)
    options = parser.parse_args(arguments)
    return guarded(lambda: run(options))


def run(options: argparse.Namespace) -> int:
    """Measure, and print."""
    bundle = contract.load(options.bundle)
    model = (options.bundle / contract.MODEL).read_bytes()
    inputs = bundle.golden_arrays()["inputs"]
    models = [_Model(model), _Model(without_features(model))]
    other = sum(models[0].outputs(each)[:FEATURES] != models[1].outputs(each) for each in inputs)
    print(f"other bytes in the other outputs: {other} of {len(inputs)} golden inputs")
    spent = np.array(
        [[each.processor_ms(inputs[0]) for each in models] for _ in range(options.rounds)]
    )
    low, middle, high = np.quantile(spent[:, 0] - spent[:, 1], (0.25, 0.5, 0.75))
    least = spent.min(axis=0)
    print(f"an inference, least: {least[0]:.3f} ms, without features {least[1]:.3f} ms")
    print(f"the features, in turn: {middle:.3f} ms (half of them {low:.3f} to {high:.3f})")
    print(f"the distance: {distance_ms(bundle):.3f} ms, {kept_bytes(bundle):,} bytes of memory")
    return 0


def distance_ms(bundle: contract.Bundle) -> float:
    """Processor time of a distance: the least of many rounds with it, less that without."""
    knowing = Classifier.from_bundle(bundle, threads=1)
    pixels = bundle.golden_arrays()["inputs"][0]
    knowing.classify(pixels)
    least = []
    for statistics in (bundle.statistics, None):
        knowing.statistics = statistics
        rounds = []
        for _ in range(ROUNDS):
            began = time.process_time()
            for _ in range(CALLS):
                knowing.prediction()
            rounds.append(time.process_time() - began)
        least.append(1000 * min(rounds) / CALLS)
    return least[0] - least[1]


def kept_bytes(bundle: contract.Bundle) -> int:
    """Of the arrays that a device keeps for distances."""
    arrays = [getattr(bundle.statistics, each.name) for each in fields(bundle.statistics)]
    return sum(int(array.nbytes) for array in arrays if array is not None)


def without_features(model: bytes) -> bytes:
    """The model without the output of features, and without the operator that it alone needs."""
    tree = parse(model)
    graph = tree.subgraphs[0]
    features = graph.outputs[FEATURES]
    graph.outputs = list(graph.outputs[:FEATURES])
    graph.operators = [each for each in graph.operators if features not in each.outputs]
    assert not any(features in each.inputs for each in graph.operators)
    return pack(tree)


class _Model:
    """A model on one thread."""

    def __init__(self, model: bytes) -> None:
        self._interpreter: Any = Interpreter(model_content=model, num_threads=1)
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._outputs = [each["index"] for each in self._interpreter.get_output_details()]

    def processor_ms(self, pixels: npt.NDArray[np.uint8]) -> float:
        """Of one inference."""
        self._interpreter.set_tensor(self._input, pixels[None])
        began = time.process_time()
        self._interpreter.invoke()
        return 1000 * (time.process_time() - began)

    def outputs(self, pixels: npt.NDArray[np.uint8]) -> list[bytes]:
        """The bytes of all outputs."""
        self.processor_ms(pixels)
        return [self._interpreter.get_tensor(index).tobytes() for index in self._outputs]


if __name__ == "__main__":
    sys.exit(main())
