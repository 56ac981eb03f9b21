"""`make figures`: RESULTS.md's tables of accuracy and of scores, from builds of several seeds.

Each seed gives another split of the same photos, so a photo may be in several test parts. Its
answers are not independent: all answers about an event are those of one event in pooled intervals.
"""

import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from convert.artifacts.exported import read_model
from convert.artifacts.training import Training, read_training
from convert.errors import InputError
from convert.verify.statistics import Comparison, Labels, Probabilities, compare
from device.commit import commit
from device.inference.classifier import Classifier
from device.workstation.conversion import (
    FLOAT_MODEL,
    INT8_MODEL,
    VERIFICATION,
    VerificationRecord,
)
from device.workstation.shares import ShareByEvent, share_by_event
from device.workstation.training import Part
from device.workstation.wording import counted, photos_in_events


@dataclass(frozen=True)
class Answers:
    """The outputs of float and int8 for the test part of one build."""

    photos: tuple[str, ...]
    """Their SHA-256."""
    events: tuple[str, ...]
    """The event of each."""
    truth: Labels
    float32: Probabilities
    int8: Probabilities


@dataclass(frozen=True)
class Build:
    """One seed's build."""

    name: str
    training: Training
    verification: VerificationRecord
    answers: Answers


def load_build(folder: Path, advance: Callable[[], None] = lambda: None) -> Build:
    """Read a build and classify its test part with both models.

    Raises:
        InputError: if a part of the build is missing.
        RecordError: if its verification is missing, damaged or of another version.
    """
    training = read_training(folder / "train")
    verification = VerificationRecord.read(folder / "bundle" / VERIFICATION)
    photos = training.photos[Part.TEST]
    models = (read_model(folder / "convert" / name) for name in (FLOAT_MODEL, INT8_MODEL))
    rows = []
    for model in models:
        classifier = Classifier(model, training.labels, training.preprocessing)
        load = partial(_scores, training, classifier, advance)
        rows.append(np.stack([load(photo) for photo in photos]))
    truth = np.array([photo.label for photo in photos], np.int64)
    hashes, events = zip(*((photo.sha256, photo.event) for photo in photos), strict=True)
    answers = Answers(hashes, events, truth, rows[0], rows[1])
    return Build(str(folder), training, verification, answers)


def _scores(
    training: Training, classifier: Classifier, advance: Callable[[], None], photo: Any
) -> Probabilities:
    advance()
    return classifier.classify(training.pixels(photo)).scores


def pooled(builds: Sequence[Build]) -> Answers:
    """All answers as one part."""
    answers = [build.answers for build in builds]
    return Answers(
        tuple(photo for one in answers for photo in one.photos),
        tuple(event for one in answers for event in one.events),
        np.concatenate([one.truth for one in answers]),
        np.concatenate([one.float32 for one in answers]),
        np.concatenate([one.int8 for one in answers]),
    )


def header() -> str:
    """The date, the commit and the machine of the figures."""
    day = datetime.now(UTC).date().isoformat()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    system = f"{platform.system()} {platform.machine()}, {_processor()}, {cores} cores"
    return f"{day}, commit {commit()}, {system}, Python {platform.python_version()}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown processor"
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "unknown processor")


def accuracy_table(builds: Sequence[Build]) -> str:
    """Float beside int8: one row per build and one for all."""
    lines = [
        "| split and training | n | float (95%) | int8 (95%) | int8 loses (paired, 95%) "
        "| agreement |",
        "|---|---|---|---|---|---|",
    ]
    for build in builds:
        seed = f"`SEED={build.training.metrics.config.seed}`"
        photos = counted(len(build.answers.truth), len(set(build.answers.events)))
        lines.append(_accuracy_row(seed, photos, build.answers))
    if len(builds) > 1:
        answers = pooled(builds)
        lines.append(_accuracy_row("all", f"{len(answers.truth):,}", answers))
        lines += ["", _repetition(answers)]
    return "\n".join(lines)


def _repetition(answers: Answers) -> str:
    different = photos_in_events(len(set(answers.photos)), len(set(answers.events)))
    return (
        f"All {len(answers.photos):,} answers are about {different}; the intervals know which "
        "answers are about the same."
    )


def _accuracy_row(name: str, n: str, answers: Answers) -> str:
    truth, events = answers.truth, answers.events
    float32 = share_by_event(answers.float32.argmax(axis=1) == truth, events)
    int8 = share_by_event(answers.int8.argmax(axis=1) == truth, events)
    c = compare(truth, answers.float32, answers.int8, events)
    return (
        f"| {name} | {n} | {_interval(float32)} | {_interval(int8)} | {_loss(c)} "
        f"| {c.agreement.value:.2%} |"
    )


def lead_table(builds: Sequence[Build], others: Sequence[Build]) -> str:
    """How far these builds are ahead of others on the same photos: a row per build, one for all.

    Raises:
        InputError: if two builds that stand at the same place were judged by other photos.
    """
    if len(builds) != len(others):
        raise InputError(f"--against: give {len(builds)} builds, one for each of the others")
    for one, other in zip(builds, others, strict=True):
        if one.answers.photos != other.answers.photos:
            raise InputError(f"{one.name} and {other.name} have other photos in their test parts")
    lines = [
        "| split | n | float minus that of the others (paired, 95%) | int8 likewise |",
        "|---|---|---|---|",
    ]
    for one, other in zip(builds, others, strict=True):
        seed = f"`SEED={one.training.metrics.config.seed}`"
        lines.append(_lead_row(seed, one.answers, other.answers))
    if len(builds) > 1:
        lines.append(_lead_row("all", pooled(builds), pooled(others)))
    return "\n".join(lines)


def _lead_row(name: str, one: Answers, other: Answers) -> str:
    pairs = ((one.float32, other.float32), (one.int8, other.int8))
    cells = (_loss(compare(one.truth, a, b, one.events), ("these", "the others")) for a, b in pairs)
    return f"| {name} | {len(one.truth):,} | {' | '.join(cells)} |"


def _interval(share: ShareByEvent) -> str:
    return f"{share.value:.2%} ({100 * share.low:.2f} to {100 * share.high:.2f})"


def _loss(c: Comparison, names: tuple[str, str] = ("float", "int8")) -> str:
    low, high = c.loss_interval_points
    return (
        f"{c.loss_points:+.2f} points ({low:+.2f} to {high:+.2f}); {c.only_reference_right} photos "
        f"only {names[0]}, {c.only_other_right} only {names[1]}"
    )


def scores_table(builds: Sequence[Build]) -> str:
    """Temperature, calibration error and what is called unknown: one row per build."""
    lines = [
        "| seed | temperature | calibration error before (95%) | float (95%) | int8 (95%) "
        "| known photos accepted (95%) | of these right (95%) "
        "| clutter turned away (95%) | by the score alone |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for build in builds:
        v = build.verification
        calibration, clutter, threshold = v.evidence.calibration, v.evidence.clutter, v.threshold
        errors = [
            _percent(one.expected_calibration_error, one.interval)
            for one in (calibration.untempered, calibration.float, calibration.int8)
        ]
        lines.append(
            f"| {build.training.metrics.config.seed} "
            f"| {build.training.metrics.calibration.temperature:.2f} "
            f"| {' | '.join(errors)} "
            f"| {_percent(threshold.coverage, threshold.coverage_interval)} "
            f"| {_percent(threshold.precision, threshold.precision_interval)} "
            f"| {_percent(clutter.rejected, clutter.interval)} | {clutter.by_score:.1%} |"
        )
    return "\n".join(lines)


def _percent(value: float | None, interval: Sequence[float] | None) -> str:
    if value is None or interval is None:
        return "-"
    return f"{value:.1%} ({100 * interval[0]:.1f} to {100 * interval[1]:.1f})"
