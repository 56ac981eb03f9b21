"""`make bench-quant`: quantizers side by side on the same networks and the same photos.

Every model runs as the device runs it. The validation columns choose the method to ship; the test
columns show how it does on photos that were not used for the choice.
"""

import device.interrupt  # noqa: F401

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from convert.artifacts.training import (
    LabelledPhoto,
    Training,
    load_network,
    read_training,
)
from convert.errors import ConversionError
from convert.quantize.calibration import choose
from convert.tflite.flatbuffer import read_facts
from convert.verify.statistics import Labels, Probabilities, compare
from device.console import guarded
from device.errors import UsageError, one_line
from device.files import write_bytes
from device.inference.classifier import Classifier
from device.workstation.quiet import quiet_tensorflow
from device.workstation.training import Part
from device.workstation.wording import photos_in_events

Pixels = npt.NDArray[np.uint8]
Make = Callable[[Any, Pixels], bytes]

PARTS = (Part.VAL, Part.TEST)
PHOTOS = 100
TIMED_RUNS = 60


@dataclass(frozen=True)
class Rival:
    """One row of the table."""

    name: str
    make: Make
    photos: int = PHOTOS
    stratified: bool = True
    """If not, the first photos of the list, as a folder gives them."""


@dataclass(frozen=True)
class Answers:
    """The outputs of one model for one part."""

    probabilities: Probabilities
    logits: Probabilities
    """The average of the class map, minus its mean over the classes."""


@dataclass(frozen=True)
class Build:
    """A trained network with its held-out photos and the float model's outputs for them."""

    training: Training
    network: Any
    photos: dict[Part, Pixels]
    truth: dict[Part, Labels]
    listed: dict[Part, tuple[LabelledPhoto, ...]]
    """The same as the split has them: parts of other builds may contain some of them, too."""
    exact: dict[Part, Answers]


@dataclass(frozen=True)
class Measured:
    """Measurements of a rival on one build."""

    answers: dict[Part, Answers]
    seconds: float
    invoke_ms: float


@dataclass(frozen=True)
class PartFigures:
    """Figures of a rival on one part of the photos, pooled over builds."""

    n: int
    """Number of answers."""
    photos: int
    """Number of different photos: builds may share some."""
    events: int
    """Number of different events that they are of."""
    float_accuracy: float
    int8_accuracy: float
    loss_points: float
    loss_interval_points: tuple[float, float]
    agreement: float
    mean_divergence_bits: float
    logit_sqnr_db: float


@dataclass(frozen=True)
class Compared:
    """A row of the table."""

    name: str
    seconds: float
    """Time to quantize."""
    invoke_ms: float
    val: PartFigures
    test: PartFigures


@dataclass(frozen=True)
class Refused:
    """A row for a rival that did not produce a model to compare."""

    name: str
    refused: str
    """Why."""


Row = Compared | Refused


def rivals() -> list[Rival]:
    """All rows; the shipped method is first, and the table's last column is relative to it."""
    from convert.bench import rivals as r

    edge = r.ai_edge_quantized
    plain = partial(r.planned, equalize=False, correct_biases=False)
    least = partial(r.planned, find_range=r.least_error_range)
    return [
        Rival("the default", r.planned),
        Rival("TensorFlow, 100 photos", r.tensorflow_calibrated),
        Rival("TensorFlow, 20 photos", r.tensorflow_calibrated, 20),
        Rival("TensorFlow, first 100 photos", r.tensorflow_calibrated, stratified=False),
        Rival("TensorFlow, 500 photos", r.tensorflow_calibrated, 500),
        Rival("ai-edge-quantizer, min-max", partial(edge, algorithm="MIN_MAX_UNIFORM_QUANT")),
        Rival("ai-edge-quantizer, OCTAV", partial(edge, algorithm="OCTAV")),
        Rival("ai-edge-quantizer, MSE", partial(edge, algorithm="MSE")),
        Rival("layer-wise, min-max alone", plain),
        Rival("layer-wise, bias correction", partial(r.planned, equalize=False)),
        Rival("layer-wise, equalization", partial(r.planned, correct_biases=False)),
        Rival("layer-wise, bias correction, least-error", partial(least, equalize=False)),
        Rival(
            "the default, ReLU6 channels as they are", partial(r.planned, equalize_clipped=False)
        ),
        Rival("the default, least-error ranges", least),
        Rival("the default, 99.99% ranges", partial(r.planned, find_range=r.percentile_range)),
        Rival("the default, 20 photos", r.planned, 20),
        Rival("the default, 6 photos", r.planned, 6),
        Rival("the default, 2 photos", r.planned, 2),
        Rival("the default, fine-tuned in int8", r.distilled),
    ]


def load_build(folder: Path) -> Build:
    """Load what all rivals share on one build."""
    training = read_training(folder / "train")
    network = load_network(training.model_path)
    with quiet_tensorflow():
        from convert.quantize.export import float_model

        reference = float_model(network)
    photos = {part: _pixels(training, training.photos[part]) for part in PARTS}
    truth = {
        part: np.array([photo.label for photo in training.photos[part]], np.int64) for part in PARTS
    }
    listed = {part: training.photos[part] for part in PARTS}
    return Build(training, network, photos, truth, listed, _answers(training, reference, photos))


def measure_rival(rival: Rival, build: Build) -> Measured | str:
    """Measure one rival on one build; a text says why if that is impossible."""
    known = build.training.photos[Part.TRAIN]
    chosen = choose(known, rival.photos, 0) if rival.stratified else known[: rival.photos]
    calibration = _pixels(build.training, chosen)
    started = time.perf_counter()
    try:
        with quiet_tensorflow():
            model = rival.make(build.network, calibration)
    except (ConversionError, ImportError, RuntimeError, ValueError) as error:
        return f"failed: {one_line(error)[:60]}"
    seconds = time.perf_counter() - started
    floats = read_facts(model).float_tensors
    if floats:
        return f"not full-integer: {len(floats)} tensors stay float"
    answers = _answers(build.training, model, build.photos)
    return Measured(answers, seconds, _invoke_ms(build.training, model, build.photos[Part.VAL][0]))


def _pixels(training: Training, photos: Sequence[Any]) -> Pixels:
    return np.stack([training.pixels(photo) for photo in photos])


def _answers(training: Training, model: bytes, photos: dict[Part, Pixels]) -> dict[Part, Answers]:
    classifier = Classifier(model, training.labels, training.preprocessing)
    result = {}
    for part, pixels in photos.items():
        rows, maps = [], []
        for photo in _as_input(classifier, pixels):
            rows.append(classifier.classify(photo).scores)
            maps.append(classifier.class_map().mean(axis=(0, 1)))
        logits = np.stack(maps)
        centred = logits - logits.mean(axis=1, keepdims=True)
        result[part] = Answers(np.stack(rows), centred)
    return result


def _as_input(classifier: Classifier, pixels: Pixels) -> Pixels:
    """Bytes as the model expects them: a rival's input scale may differ from that of bytes."""
    record = classifier.tensor_records()["input"]
    if record["dtype"] != "int8":
        return pixels
    real = pixels.astype(np.float32) / 128 - 1
    steps = np.round(real / record["scale"]) + record["zero_point"] + 128
    return np.asarray(np.clip(steps, 0, 255), np.uint8)


def _invoke_ms(training: Training, model: bytes, photo: Pixels) -> float:
    """The fastest of many runs: other load on the machine can only slow one down."""
    classifier = Classifier(model, training.labels, training.preprocessing)
    classifier.set_input(photo)
    times = []
    for _ in range(TIMED_RUNS):
        started = time.perf_counter()
        classifier.invoke()
        times.append(time.perf_counter() - started)
    return min(times) * 1e3


def summarise(name: str, builds: Sequence[Build], found: Sequence[Measured | str]) -> Row:
    """A row of the table, pooled over builds."""
    refusals = [one for one in found if isinstance(one, str)]
    if refusals:
        return Refused(name, refusals[0])
    measured = [one for one in found if isinstance(one, Measured)]
    return Compared(
        name=name,
        seconds=float(np.mean([one.seconds for one in measured])),
        invoke_ms=float(np.mean([one.invoke_ms for one in measured])),
        val=_pooled(builds, measured, Part.VAL),
        test=_pooled(builds, measured, Part.TEST),
    )


def _pooled(builds: Sequence[Build], measured: Sequence[Measured], part: Part) -> PartFigures:
    truth: Labels = np.concatenate([build.truth[part] for build in builds])
    exact = [build.exact[part] for build in builds]
    found = [one.answers[part] for one in measured]
    reference = np.concatenate([one.probabilities for one in exact])
    other = np.concatenate([one.probabilities for one in found])
    photos = [photo for build in builds for photo in build.listed[part]]
    c = compare(truth, reference, other, [photo.event for photo in photos])
    return PartFigures(
        n=len(truth),
        photos=len({photo.sha256 for photo in photos}),
        events=len({photo.event for photo in photos}),
        float_accuracy=float((reference.argmax(axis=1) == truth).mean()),
        int8_accuracy=float((other.argmax(axis=1) == truth).mean()),
        loss_points=c.loss_points,
        loss_interval_points=c.loss_interval_points,
        agreement=c.agreement.value,
        mean_divergence_bits=c.mean_divergence,
        logit_sqnr_db=_logit_sqnr_db(exact, found),
    )


def _logit_sqnr_db(exact: Sequence[Answers], found: Sequence[Answers]) -> float:
    signal = sum(float((one.logits**2).sum()) for one in exact)
    noise = sum(
        float(((a.logits - b.logits) ** 2).sum()) for a, b in zip(exact, found, strict=True)
    )
    return float(10 * np.log10(signal / noise))


def table(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table."""
    lines = [
        "| quantizer | val: agreement | div. | SQNR | test: float | int8 | loses (95%) "
        "| agreement | div. | SQNR | makes | runs |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    compared = [row for row in rows if isinstance(row, Compared)]
    for row in rows:
        if isinstance(row, Refused):
            lines.append(f"| {row.name} | {row.refused} |" + " |" * 10)
        else:
            lines.append(_columns(row, compared[0].invoke_ms))
    if compared:
        val, test = compared[0].val, compared[0].test
        lines += [
            "",
            f"n = {val.n:,} answers on {photos_in_events(val.photos, val.events)} (val), "
            f"{test.n:,} on {photos_in_events(test.photos, test.events)} (test), pooled over the "
            "builds; intervals are by event, so they allow for photos that recur.",
        ]
    return "\n".join(lines)


def _columns(row: Compared, first_invoke_ms: float) -> str:
    test = row.test
    low, high = test.loss_interval_points
    return (
        f"| {row.name} | {_closeness(row.val)} | {test.float_accuracy:.2%} "
        f"| {test.int8_accuracy:.2%} | {test.loss_points:+.2f} ({low:+.2f} to {high:+.2f}) "
        f"| {_closeness(test)} | {row.seconds:.0f} s | {row.invoke_ms / first_invoke_ms:.2f} |"
    )


def _closeness(part: PartFigures) -> str:
    return (
        f"{part.agreement:.2%} | {1e4 * part.mean_divergence_bits:.1f}e-4 "
        f"| {part.logit_sqnr_db:.1f} dB"
    )


def run(options: argparse.Namespace) -> int:
    """Measure, print and write the table."""
    if not any(options.only in rival.name for rival in rivals()):
        raise UsageError(f"--only {options.only}: no quantizer has this in its name")
    builds = [load_build(folder) for folder in options.builds]
    options.out.mkdir(parents=True, exist_ok=True)
    rows: list[Row] = []
    for rival in rivals():
        if options.only in rival.name:
            print(f"measuring {rival.name}", file=sys.stderr, flush=True)
            found = [measure_rival(rival, build) for build in builds]
            rows.append(summarise(rival.name, builds, found))
            content = json.dumps([asdict(row) for row in rows], indent=2) + "\n"
            write_bytes(options.out / "quantizers.json", content.encode())
            write_bytes(options.out / "quantizers.md", (table(rows) + "\n").encode())
    print(table(rows))
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Run the comparison; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m convert.bench.quantizers", description=__doc__)
    parser.add_argument("builds", nargs="+", type=Path, help="build folders with train/ in them")
    parser.add_argument("--out", type=Path, default=Path("build/bench"))
    parser.add_argument("--only", default="", help="only quantizers with this text in their names")
    return guarded(lambda: run(parser.parse_args(arguments)))


if __name__ == "__main__":
    sys.exit(main())
