"""The self-test: does the interpreter here give the outputs that were verified?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from device.contract.bundle import Bundle
from device.errors import BundleError, SelfTestError
from device.inference.classifier import Classifier
from device.inference.outputs import FEATURES

EXACT = {"max_steps": 0}


@dataclass(frozen=True)
class SelfTestResult:
    """How far this runtime's outputs are from the golden ones."""

    runtime: str
    photos: int
    difference_steps: Mapping[str, int]
    """The largest difference by output, in quantization steps (1/256 for probabilities)."""
    same_top1: int
    """On how many of the golden photos the most probable class is the golden one."""

    @property
    def largest_difference_steps(self) -> int:
        """Over all outputs."""
        return max(self.difference_steps.values())


def run(bundle: Bundle, classifier: Classifier) -> SelfTestResult:
    """Classify the golden inputs and compare with the golden outputs.

    Returns:
        The differences found, all within the manifest's tolerance for this runtime.

    Raises:
        SelfTestError: if an output differs from its golden one by more than the tolerance, or more
            photos change their class than it allows.
        BundleError: if the golden file does not fit the model.
    """
    arrays = bundle.golden_arrays()
    inputs = arrays.pop("inputs")
    largest, same_top1 = dict.fromkeys(arrays, 0), 0
    for i, pixels in enumerate(inputs):
        classifier.set_input(pixels)
        classifier.invoke()
        raw = classifier.raw_outputs()
        for name, golden in arrays.items():
            largest[name] = max(largest[name], _difference(raw, name, golden[i]))
        same_top1 += int(raw["probabilities"].argmax() == arrays["probabilities"][i].argmax())
    result = SelfTestResult(classifier.runtime.name, len(inputs), largest, same_top1)
    _check_tolerance(
        result, bundle.manifest.get("tolerance", {}).get(classifier.runtime.name, EXACT)
    )
    return result


def _difference(raw: Mapping[str, Any], name: str, golden: Any) -> int:
    if name not in raw or raw[name].shape != golden.shape or raw[name].dtype != golden.dtype:
        raise BundleError(f"the golden output {name!r} does not fit the model")
    return int(np.abs(raw[name].astype(np.int32) - golden.astype(np.int32)).max())


def _allowed(name: str, tolerance: Mapping[str, Any]) -> int | None:
    """The largest difference of an output; None if it was not measured on this runtime."""
    if name in tolerance.get("exact", ()):
        return 0
    key = "max_feature_steps" if name == FEATURES else "max_steps"
    limit: int | None = tolerance.get(key, tolerance["max_steps"])
    return limit


def _check_tolerance(result: SelfTestResult, tolerance: Mapping[str, Any]) -> None:
    bad = []
    for name, steps in sorted(result.difference_steps.items()):
        allowed = _allowed(name, tolerance)
        if allowed is not None and steps > allowed:
            bad.append(f"{name} differs by {steps} steps from the golden one ({allowed} allowed)")
    other, allowed = result.photos - result.same_top1, tolerance.get("max_other_top1", 0)
    if other > allowed:
        bad.append(f"{other} of {result.photos} photos are of another class ({allowed} allowed)")
    if bad:
        raise SelfTestError(f"{'; '.join(bad)}: do not use this bundle on {result.runtime} here")
