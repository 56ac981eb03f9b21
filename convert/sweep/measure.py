"""What a finished trial's model can do and what it needs: on held-out photos, and on this machine.

Time and memory are those of a new process that does nothing else, measured when no trial is at
work.
"""

import hashlib
import json
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from convert.artifacts.exported import read_model
from convert.artifacts.training import LabelledPhoto, Training, read_photos, read_training
from convert.errors import InputError
from convert.sweep.trial import Cost, Figures, Judged
from convert.tflite.macs import multiply_accumulates
from device import child
from device.inference.classifier import Classifier
from device.workstation.conversion import INT8_MODEL, VERIFICATION, VerificationRecord
from device.workstation.shares import share_by_event
from device.workstation.training import TIMINGS, Part, Timings

TIME_LIMIT_S = 600


def measure(folder: Path, advance: Callable[[], None] = lambda: None) -> Figures:
    """The figures of a finished build.

    Args:
        folder: with `train`, `convert` and `bundle` in it.
        advance: called after each photo.

    Raises:
        InputError: if a part of the build is missing, or its bundle does not run.
        RecordError: if a record of it is missing, damaged or of another version.
    """
    training = read_training(folder / "train")
    model = read_model(folder / "convert" / INT8_MODEL)
    verified = VerificationRecord.read(folder / "convert" / VERIFICATION)
    classifier = Classifier(model, training.labels, training.preprocessing)

    def judged(part: Part) -> Judged:
        return _judged(training, classifier, training.photos[part], advance)

    return Figures(
        model_sha256=hashlib.sha256(model).hexdigest(),
        validation=judged(Part.VAL),
        test=judged(Part.TEST),
        float_accuracy=verified.float_accuracy,
        verdict=verified.verdict,
        edge_tpu_failures=verified.edge_tpu.failures,
        cost=_cost(model, folder / "bundle"),
        training_s=sum(Timings.read(folder / "train" / TIMINGS).seconds.values()),
    )


def photos_to_judge(folder: Path) -> int:
    """How many photos `measure` classifies; raises as it does."""
    photos = read_photos(folder / "train")
    return len(photos[Part.VAL]) + len(photos[Part.TEST])


def _judged(
    training: Training,
    classifier: Classifier,
    photos: Sequence[LabelledPhoto],
    advance: Callable[[], None],
) -> Judged:
    right = []
    for photo in photos:
        scores = classifier.classify(training.pixels(photo)).scores
        right.append(int(scores.argmax()) == photo.label)
        advance()
    share = share_by_event(np.array(right), [photo.event for photo in photos])
    digits = "".join(str(int(one)) for one in right)
    return Judged(share.n, share.events, share.value, share.interval, digits)


def _cost(model: bytes, bundle: Path) -> Cost:
    given = ("-m", "convert.sweep.inference", str(bundle))
    try:
        done = child.run(*given, time_limit_s=TIME_LIMIT_S)
    except subprocess.TimeoutExpired as error:
        raise InputError(f"{bundle} did not answer within {TIME_LIMIT_S} s") from error
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise InputError(f"{bundle} does not run: {said[-1] if said else 'it says nothing'}")
    found = json.loads(done.stdout)
    return Cost(
        model_bytes=len(model),
        macs=multiply_accumulates(model),
        invoke_ms=found["invoke_ms"],
        memory_mib=found["memory_mib"],
        runtime=found["runtime"],
    )
