"""The files of the bundle, written as a folder and as a tar."""

import ctypes
import io
import shutil
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from convert.artifacts.exported import Export
from convert.artifacts.training import Training, one_class_after_another
from convert.errors import GateError, InputError
from convert.pack.model_card import model_card
from convert.pack.thumbnails import thumbnails
from convert.targets import runtimes, tolerance
from convert.targets.tolerance import Measured
from convert.tflite.flatbuffer import read_facts
from device import __version__
from device.commit import commit
from device.contract import bundle as contract
from device.contract.arrays import Pixels
from device.contract.look.rules import LookRules
from device.contract.statistics import FeatureStatistics
from device.contract.thumbnails.record import Thumbnails
from device.inference.classifier import Classifier
from device.workstation.conversion import VerificationRecord
from device.workstation.training import Part

AT_FDCWD, RENAME_EXCHANGE = -100, 2
"""Constants of renameat2(2)."""
GOLDEN_PHOTOS = 8
"""Test photos whose outputs the device's self-test compares."""
LOOKED_AT = 4
"""Of so many times as many photos, those are taken whose class is clear."""
CLEAR_STEPS = 2
"""A lead that two classes cannot lose which are a step off each, as `tolerance.PROMISED` allows."""


@dataclass(frozen=True)
class Inputs:
    """What a bundle is made from."""

    training: Training
    exported: Export
    verification: VerificationRecord
    """As `read_verification` gives it."""
    edgetpu_model: bytes | None = None
    """The int8 model, compiled for the Edge TPU."""
    measured: Sequence[Measured] = ()
    """Distances of runtimes from the golden outputs, in addition to the table's rows."""
    golden_photos: int = GOLDEN_PHOTOS
    thumbnails: bool = False
    """Whether small pictures of training photos travel in it."""


def golden_file(training: Training, classifier: Classifier, count: int) -> bytes:
    """`golden.npz`: test photos as prepared pixels, with the int8 model's raw outputs for them.

    The first photos of which the best class leads by more than a board may be off, since the
    self-test demands the same class; others only if those are too few.
    """
    photos = one_class_after_another(training.photos[Part.TEST])[: LOOKED_AT * count]
    clear: list[tuple[Pixels, dict[str, Any]]] = []
    close: list[tuple[Pixels, dict[str, Any]]] = []
    for photo in photos:
        pixels = training.pixels(photo)
        classifier.set_input(pixels)
        classifier.invoke()
        outputs = classifier.raw_outputs()
        second, best = np.sort(outputs["probabilities"].astype(int))[-2:]
        (clear if best - second > CLEAR_STEPS else close).append((pixels, outputs))
        if len(clear) == count:
            break
    inputs, raw = zip(*(clear + close)[:count], strict=True)
    named: dict[str, Any] = {
        name: np.stack([outputs[name] for outputs in raw]) for name in sorted(raw[0])
    }
    data = io.BytesIO()
    np.savez(data, inputs=np.stack(inputs), **named)
    return data.getvalue()


def _manifest(
    inputs: Inputs, classifier: Classifier, files: Mapping[str, bytes], small: Thumbnails | None
) -> dict[str, Any]:
    """Everything that `manifest.json` says, without its own digest."""
    training, exported, verification = inputs.training, inputs.exported, inputs.verification
    rules, data = training.preprocessing, training.metrics.data
    runtime, packed_by = classifier.runtime, commit()
    return {
        "schema": contract.SCHEMA,
        "fieldguide": __version__,
        "commit": packed_by,
        "commits": {
            "training": training.commit,
            "export": exported.commit,
            "verification": verification.commit,
            "bundle": packed_by,
        },
        "name": data.name,
        "data": asdict(data),
        "architecture": asdict(training.metrics.config.architecture),
        "files": {name: contract.file_record(content) for name, content in files.items()},
        **({} if small is None else {"thumbnails": len(small.pictures)}),
        **classifier.tensor_records(),
        "preprocess": rules.record(),
        "preprocess_sha256": rules.sha256(),
        "region": data.region,
        "look": LookRules().record(),
        "look_sha256": LookRules().sha256(),
        "verification": verification.claims(),
        "threshold": asdict(verification.threshold),
        "score_offset": asdict(offset) if (offset := verification.score_offset) else None,
        "regression_allowed": bool(verification.allow_regression and verification.failures),
        "calibration": {
            "policy": "class-stratified sample of the training part, drawn by content",
            "seed": exported.seed,
            "photos": [{"path": p.path, "sha256": p.sha256} for p in exported.photos],
        },
        **runtimes.runtime_needs(
            read_facts(exported.int8_model).operators, runtimes.read_runtimes()
        ),
        "reference_runtime": f"{runtime.name} {runtime.version}",
        "tolerance": tolerance.tolerance_by_runtime(
            contract.file_record(exported.int8_model)["sha256"],
            tolerance.merged(tolerance.read_tolerances(), inputs.measured),
        ),
    }


def build(inputs: Inputs) -> dict[str, bytes]:
    """All files of the bundle by name, manifest included; the same inputs give the same bytes."""
    training, model = inputs.training, inputs.exported.int8_model
    classifier = Classifier(model, training.labels, training.preprocessing)
    labels = ("\n".join(training.labels) + "\n").encode()
    golden = golden_file(training, classifier, inputs.golden_photos)
    statistics = _statistics(inputs)
    files = {
        contract.MODEL: model,
        contract.LABELS: labels,
        contract.GOLDEN: golden,
        contract.STATISTICS: statistics.content(),
    }
    if inputs.edgetpu_model is not None:
        files[contract.EDGETPU_MODEL] = inputs.edgetpu_model
    small = thumbnails(training, classifier, statistics) if inputs.thumbnails else None
    if small is not None:
        files[contract.THUMBNAILS] = small.content()
    shown = len(small.pictures) if small else 0
    files[contract.MODEL_CARD] = model_card(training, inputs.verification, model, shown).encode()
    body = _manifest(inputs, classifier, files, small)
    return {**files, contract.MANIFEST: contract.seal_manifest(body)}


def _statistics(inputs: Inputs) -> FeatureStatistics:
    """The directions that the export found, with what verification found usual."""
    usual = inputs.verification.usual
    return replace(
        inputs.exported.statistics,
        usual=np.array([usual.doubt, usual.outside]),
        classes=np.array(usual.classes),
    )


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Replace the old folder by a complete new one; a kill leaves either the old or the new one.

    If the system cannot swap two folders in one step (Linux can, on most file systems), a kill
    between two renames leaves the old one under another name; the next call puts it back.
    """
    fresh, old = (folder.with_name(f".{folder.name}.{suffix}") for suffix in ("new", "old"))
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    for name, data in files.items():
        (fresh / name).write_bytes(data)
    contract.from_files(contract.read_files(fresh))
    if not folder.exists() and old.exists():
        old.replace(folder)
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        if exchange(fresh, folder):
            shutil.rmtree(fresh, ignore_errors=True)
            return
        folder.replace(old)
    fresh.replace(folder)
    shutil.rmtree(old, ignore_errors=True)


def exchange(one: Path, other: Path) -> bool:
    """Swap two names in one step; False if the system cannot do that."""
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError):
        return False
    return bool(rename(AT_FDCWD, bytes(one), AT_FDCWD, bytes(other), RENAME_EXCHANGE) == 0)


def tar_bytes(files: Mapping[str, bytes]) -> bytes:
    """A tar of the files: sorted, without times and owners, so equal files give equal bytes."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name in sorted(files):
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(files[name]), 0o644
            archive.addfile(member, io.BytesIO(files[name]))
    return data.getvalue()


def read_verification(path: Path, model: bytes) -> VerificationRecord:
    """Read `verification.json`, which must allow this model to ship.

    Raises:
        RecordError: if it is missing, damaged or of another version.
        InputError: if it is about another model.
        GateError: if the gate failed and that was not allowed.
    """
    record = VerificationRecord.read(path)
    edge_tpu = record.edge_tpu
    if record.model_sha256.get(contract.MODEL) != contract.file_record(model)["sha256"]:
        raise InputError(f"{path} is about another model; remove it and run `make verify`")
    regression = bool(record.failures) and not record.allow_regression
    left_to_cpu = bool(edge_tpu.failures) and not edge_tpu.cpu_operators_allowed
    if regression or left_to_cpu:
        failures = "; ".join(record.failures + edge_tpu.failures)
        raise GateError(f"{path}: the gate failed ({failures})")
    return record
