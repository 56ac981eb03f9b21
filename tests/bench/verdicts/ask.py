"""Asks one runtime about prepared pictures: the part that runs in the runtime's own environment.

It imports nothing but the device package and NumPy.
"""

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from pathlib import Path

import numpy as np

from device.contract.arrays import Pixels
from device.contract.bundle import load
from device.contract.runtimes import AUTO
from device.inference.classifier import Classifier
from device.inference.runtime import MODULES, Runtime, find

DEFAULT, PLAIN = "default", "plain"
"""The kernels that the runtime takes by itself, XNNPACK where it was built in; and TFLite's own."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Ask; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.verdicts.ask", description=__doc__)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--pictures", type=Path, required=True, help="uint8 (n, h, w, 3), as .npy")
    parser.add_argument("--kernels", choices=(DEFAULT, PLAIN), default=DEFAULT)
    parser.add_argument("--out", type=Path, required=True, help="answers, as .npz")
    options = parser.parse_args(arguments)
    ask(options.bundle, np.load(options.pictures, mmap_mode="r"), options.kernels, options.out)
    return 0


def ask(bundle: Path, pictures: Pixels, kernels: str, out: Path) -> None:
    """Classify all pictures and keep the answers.

    Args:
        bundle: folder or tar.
        pictures: uint8 (n, h, w, 3), prepared.
        kernels: `DEFAULT` or `PLAIN`.
        out: a file with label int (n,), unknown bool (n,), distance float (n,), and every output
            of the model as it wrote it.
    """
    classifier = Classifier.from_bundle(load(bundle), runtime=runtime(kernels), threads=1)
    answers, raw = [], []
    for pixels in pictures:
        answers.append(classifier.classify(pixels))
        raw.append({name: one.copy() for name, one in classifier.raw_outputs().items()})
    found = classifier.runtime
    np.savez(
        out,
        allow_pickle=False,
        runtime=np.array(f"{found.name} {found.version}"),
        label=np.array([one.best for one in answers]),
        unknown=np.array([one.unknown for one in answers]),
        distance=np.array([one.distance for one in answers], np.float64),
        **{f"raw_{name}": np.stack([one[name] for one in raw]) for name in raw[0]},
    )


def runtime(kernels: str) -> Runtime:
    """The runtime that is installed here, with the kernels that are asked for."""
    found = find(AUTO)
    if kernels == DEFAULT:
        return found
    resolvers = import_module(MODULES[found.name]).OpResolverType
    interpreter = partial(
        found.interpreter,
        experimental_op_resolver_type=resolvers.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    return Runtime(found.name, found.version, interpreter)


if __name__ == "__main__":
    sys.exit(main())
