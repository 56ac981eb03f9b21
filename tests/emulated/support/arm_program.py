"""What `tests/emulated/test_arm.py` runs on an emulated board, and beside it on the workstation.

Prepares and classifies photos with the device package alone, then the golden inputs, looks at a
film, notes moments of drift, takes the mean of every sum, and writes the pixels, the raw outputs,
what was found, and the instructions that each took.
It knows no other module of the tests: only the device's wheel and its locks' wheels are there.
"""

import json
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from device.contract import bundle
from device.contract.look.looker import Looker
from device.contract.look.rules import LookRules, Seen
from device.contract.photos import decode, read_photo
from device.contract.preprocess import FrameResizer, Preprocessing, crop_box, prepare
from device.drift import sample
from device.drift.monitor import SAMPLE_S, Monitor
from device.inference.classifier import Classifier
from device.inference.runtime import Runtime, find

WITHOUT_XNNPACK = " without XNNPACK"
STAGES = ("decode", "prepare", "invoke", "read outputs")
MOMENTS = 8
WIDTH_PX, HEIGHT_PX = 640, 480
STARTED_S = 1.7e9


def runtime_named(name: str) -> Runtime:
    """The runtime of that name, if need be with TFLite's own kernels alone."""
    found = find(name.removesuffix(WITHOUT_XNNPACK))
    if not name.endswith(WITHOUT_XNNPACK):
        return found
    from ai_edge_litert.interpreter import OpResolverType

    own = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = partial(found.interpreter, experimental_op_resolver_type=own)
    return Runtime(name, found.version, interpreter)


def counter(path: str) -> Callable[[], int]:
    """What reads the instructions run so far; always 0 where nothing counts them."""
    if not path:
        return lambda: 0
    counted = np.memmap(path, np.uint64, mode="r")
    return lambda: int(counted[0])


def classified(
    classifier: Classifier, photos: list[str], now: Callable[[], int]
) -> Iterator[dict[str, Any]]:
    """Each photo's pixels, raw outputs and instructions by stage."""
    rules = classifier.preprocessing
    for photo in photos:
        data, marks = read_photo(Path(photo)), [now()]
        image = decode(data, rules)
        marks.append(now())
        pixels = prepare(image, rules)
        classifier.set_input(pixels)
        marks.append(now())
        classifier.invoke()
        marks.append(now())
        classifier.prediction()
        marks.append(now())
        yield {"pixels": pixels, "instructions": np.diff(marks), **classifier.raw_outputs()}


def golden(classifier: Classifier, loaded: bundle.Bundle) -> Iterator[dict[str, Any]]:
    """The raw outputs of each golden input."""
    for pixels in loaded.golden_arrays()["inputs"]:
        classifier.set_input(pixels)
        classifier.invoke()
        yield {f"golden_{name}": raw for name, raw in classifier.raw_outputs().items()}


def looked(film: Path, now: Callable[[], int]) -> Iterator[dict[str, Any]]:
    """What a look finds in each frame: kind, share, first box; and its instructions."""
    with np.load(film) as arrays:
        frames, times_ms = arrays["frames"], arrays["times_ms"]
    looker, kinds = Looker(LookRules()), list(Seen)
    for frame, at_ms in zip(frames, times_ms, strict=True):
        began = now()
        outcome = looker.see(frame, int(at_ms))
        spent = now() - began
        box = outcome.boxes[0] if outcome.boxes else (0, 0, 0, 0)
        found = [kinds.index(outcome.seen), outcome.changed_permille, *box]
        yield {"looked": np.array(found, np.int32), "look_instructions": np.int64(spent)}


def noted(now: Callable[[], int]) -> Iterator[dict[str, Any]]:
    """The instructions of moments of drift, each from a whole frame, as the service notes them."""
    small = np.random.default_rng(0).integers(
        60, 180, (HEIGHT_PX // 20, WIDTH_PX // 20, 3), np.uint8
    )
    frame = np.ascontiguousarray(small.repeat(20, 0).repeat(20, 1))
    monitor, resizer, rules = Monitor(("daisy", "rose", "tulip")), FrameResizer(), Preprocessing()
    box, scores = crop_box(WIDTH_PX, HEIGHT_PX, rules), np.array([0.8, 0.15, 0.05], np.float32)
    for number in range(MOMENTS):
        began = now()
        facts = sample.look(resizer.prepare_box(frame, box, rules))
        seen = sample.Sample(facts, sample.answer(scores, distance=0.1))
        monitor.add(seen, STARTED_S + SAMPLE_S * number)
        yield {"moment_instructions": np.int64(now() - began)}


def averaged(models: Path, runtime: Runtime) -> Iterator[dict[str, Any]]:
    """What each model of a mean makes of every sum that int8 values can have."""
    with np.load(models) as arrays:
        contents = [arrays[name].tobytes() for name in arrays.files]
    for content in contents:
        interpreter = runtime.interpreter(model_content=content, num_threads=1)
        interpreter.allocate_tensors()
        given, mean = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
        _, height, width, channels = given["shape"]
        positions, means = int(height * width), []
        sums = np.arange(-128 * positions, 127 * positions + 1)
        for start in range(0, len(sums), channels):
            some = np.resize(sums[start : start + channels], channels)
            # Values that add up to each sum: some of them one more than the others.
            values = some // positions + (np.arange(positions)[:, None] < some % positions)
            interpreter.set_tensor(given["index"], values.astype(np.int8).reshape(given["shape"]))
            interpreter.invoke()
            means.append(interpreter.get_tensor(mean["index"]).ravel())
        yield {"means": np.concatenate(means)[: len(sums)]}


def main(job: dict[str, Any]) -> None:
    """Do what the job says; its arrays go to `out`, the runtime's version to stdout."""
    loaded = bundle.load(Path(job["bundle"]))
    classifier = Classifier.from_bundle(loaded, runtime=runtime_named(job["runtime"]), threads=1)
    arrays: dict[str, list[Any]] = {}
    for records in (
        classified(classifier, job["photos"], counter(job["counter"])),
        golden(classifier, loaded),
        looked(Path(job["film"]), counter(job["counter"])),
        noted(counter(job["counter"])),
        averaged(Path(job["means"]), classifier.runtime),
    ):
        for record in records:
            for name, array in record.items():
                arrays.setdefault(name, []).append(array)
    stacked: dict[str, Any] = {name: np.stack(rows) for name, rows in arrays.items()}
    np.savez(job["out"], **stacked)
    print(classifier.runtime.version)


if __name__ == "__main__":
    main(json.loads(sys.stdin.read()))
