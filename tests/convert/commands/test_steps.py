"""The steps of conversion as a program calls them: export, verification, packing, in silence."""

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from convert.artifacts.training import NO_CLASS, LabelledPhoto, Training
from convert.commands import bundle, export, verify
from convert.commands.bundle import BundleInputs, pack_bundle
from convert.commands.export import ExportInputs, export_models
from convert.commands.verify import Verified, VerifyInputs, require_shipping, verify_models
from convert.config import ConvertConfig, Gate
from convert.errors import GateError, InputError
from device.contract import bundle as contract
from device.errors import UsageError
from device.inference.classifier import Classifier
from device.workstation.conversion import VERIFICATION, VerificationRecord
from device.workstation.training import Part
from tests.support.pictures import encoded

SETTINGS = ConvertConfig(calibration_photos=6, seed=3, faults="jpeg,rotation")
QUICK = ConvertConfig(faults="none")


@dataclass(frozen=True)
class Steps:
    """A folder with what each step left in it."""

    folder: Path
    verified: Verified
    files: dict[str, bytes]


@pytest.fixture(scope="module")
def in_memory(tiny_training: Training, tiny_network: Any) -> Any:
    """Training's result comes from memory: its files are not what is tested here."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (export, verify, bundle):
            patch.setattr(module, "read_training", lambda folder: tiny_training)
        for module in (export, verify):
            patch.setattr(module, "load_network", lambda path: tiny_network)
        yield


@pytest.fixture(scope="module")
def steps(in_memory: None, tiny_training: Training, tmp_path_factory: Any) -> Steps:
    folder, source = tmp_path_factory.mktemp("steps"), tiny_training.folder
    models, packed = folder / "convert", folder / "bundle"
    export_models(ExportInputs(source, models, SETTINGS))
    verified = verify_models(VerifyInputs(source, models, folder / "report.html", SETTINGS))
    files = pack_bundle(BundleInputs(source, models, packed, folder / "tolerances.json"))
    return Steps(folder, verified, dict(files))


def test_the_three_steps_make_a_bundle_that_classifies(
    steps: Steps, tiny_training: Training
) -> None:
    loaded = contract.load(steps.folder / "bundle")
    assert contract.load(steps.folder / "bundle.tar").manifest == loaded.manifest
    classifier = Classifier.from_bundle(loaded)
    right = [
        classifier.classify(tiny_training.pixels(photo)).label == tiny_training.labels[photo.label]
        for photo in tiny_training.photos[Part.TEST]
    ]
    assert np.mean(right) >= 0.9


def test_the_settings_and_figures_are_in_what_they_leave(steps: Steps) -> None:
    manifest = contract.load(steps.folder / "bundle").manifest
    assert manifest["calibration"]["seed"] == 3 and len(manifest["calibration"]["photos"]) == 6
    record = VerificationRecord.read(steps.folder / "convert" / VERIFICATION)
    assert record.int8_accuracy == steps.verified.verification.int8.value
    assert manifest["verification"]["int8_accuracy"] == record.int8_accuracy
    assert (steps.folder / "bundle" / VERIFICATION).read_text() == record.text()
    assert "Noise by layer" in (steps.folder / "report.html").read_text("utf-8")


def test_thumbnails_are_packed_if_they_are_asked_for_and_change_nothing_else(
    steps: Steps, tiny_training: Training, tmp_path: Path
) -> None:
    models, measured = steps.folder / "convert", steps.folder / "tolerances.json"
    inputs = BundleInputs(tiny_training.folder, models, tmp_path / "b", measured, thumbnails=True)
    plain, shown = steps.files, pack_bundle(inputs)
    assert set(shown) - set(plain) == {contract.THUMBNAILS}
    changed = {name for name in plain if plain[name] != shown[name]}
    assert changed == {contract.MANIFEST, contract.MODEL_CARD}
    kept = contract.load(tmp_path / "b.tar").thumbnails
    assert kept is not None and set(kept.labels) == set(range(len(tiny_training.labels)))
    assert contract.load(tmp_path / "b").manifest["thumbnails"] == len(kept.pictures)
    assert f"small pictures of {len(kept.pictures)}" in shown[contract.MODEL_CARD].decode()
    assert "thumbnails" not in contract.load(steps.folder / "bundle").manifest
    assert b"Shows training photos" not in plain[contract.MODEL_CARD]


def test_faults_of_the_camera_are_in_record_manifest_and_report(steps: Steps) -> None:
    figures = VerificationRecord.read(steps.folder / "convert" / VERIFICATION).under_faults
    assert figures is not None and {row.fault for row in figures.rows} == {"jpeg", "rotation"}
    claimed = contract.load(steps.folder / "bundle").manifest["verification"]["faults"]
    assert claimed["measured"] == ["jpeg", "rotation"]
    assert claimed["mean_accuracy"] == figures.mean_accuracy
    page = (steps.folder / "report.html").read_text("utf-8")
    assert "Under faults of the camera" in page and "quality 30" in page
    assert "Under 2 faults of the camera" in steps.files[contract.MODEL_CARD].decode()


def test_faults_that_are_left_out_are_said_to_be(
    steps: Steps, tiny_training: Training, tmp_path: Path
) -> None:
    shutil.copytree(steps.folder / "convert", tmp_path / "convert")
    places = (tiny_training.folder, tmp_path / "convert")
    verify_models(VerifyInputs(*places, tmp_path / "report.html", QUICK))
    files = pack_bundle(BundleInputs(*places, tmp_path / "bundle", tmp_path / "no"))
    manifest = contract.load(tmp_path / "bundle").manifest
    assert manifest["verification"]["faults"] is None
    assert "left out (<code>FAULTS=none</code>)" in (tmp_path / "report.html").read_text("utf-8")
    assert "Faults of the camera were left out" in files[contract.MODEL_CARD].decode()


def test_the_users_own_strangers_are_in_record_manifest_report_and_card(
    steps: Steps, tiny_training: Training, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise, photos = np.random.default_rng(0), []
    for number in range(6):
        pixels = noise.integers(0, 256, (60, 60, 3), np.uint8)
        content, path = encoded(Image.fromarray(pixels)), f"_other/{number}.png"
        file = tiny_training.files.path(path)
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        photos.append(LabelledPhoto(path, NO_CLASS, digest, f"event {number // 2}", ""))
    training = replace(tiny_training, strangers={Part.TEST: tuple(photos)})
    for module in (verify, bundle):
        monkeypatch.setattr(module, "read_training", lambda folder: training)
    shutil.copytree(steps.folder / "convert", tmp_path / "convert")
    places = (training.folder, tmp_path / "convert")
    verified = verify_models(VerifyInputs(*places, tmp_path / "report.html", QUICK))
    own = verified.record.evidence.own
    assert own is not None and (own.taught, own.int8.n, own.int8.events) == (0, 6, 3)
    assert own.float.n == 6 and own.int8.rejected == 1 - len(own.named) / 6
    files = pack_bundle(BundleInputs(*places, tmp_path / "bundle", tmp_path / "no"))
    claimed = contract.load(tmp_path / "bundle").manifest["verification"]["strangers"]
    assert (claimed["n"], claimed["events"], claimed["int8"]) == (6, 3, own.int8.rejected)
    assert "your own, from _other" in (tmp_path / "report.html").read_text("utf-8")
    assert "| the user's own | 6 photos in 3 events |" in files[contract.MODEL_CARD].decode()
    assert steps.verified.record.evidence.own is None
    training.files.path(photos[0].path).write_bytes(b"other")
    with pytest.raises(InputError, match=r"_other/0.png: its content has changed"):
        verify_models(VerifyInputs(*places, tmp_path / "report.html", QUICK))


def test_a_step_that_nobody_watches_prints_nothing(
    steps: Steps, tiny_training: Training, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    again = tmp_path / "bundle"
    pack_bundle(
        BundleInputs(tiny_training.folder, steps.folder / "convert", again, tmp_path / "no")
    )
    verify_models(
        VerifyInputs(
            tiny_training.folder, steps.folder / "convert", tmp_path / "report.html", SETTINGS
        )
    )
    assert capfd.readouterr() == ("", "")
    assert (again / contract.MANIFEST).read_bytes() == steps.files[contract.MANIFEST]


@pytest.mark.parametrize("allowed", [False, True])
def test_a_failed_gate_is_a_result_and_an_error_only_for_who_must_ship(
    steps: Steps, tiny_training: Training, tmp_path: Path, allowed: bool
) -> None:
    (tmp_path / "convert").mkdir()
    for path in (steps.folder / "convert").iterdir():
        (tmp_path / "convert" / path.name).write_bytes(path.read_bytes())
    gate = Gate(max_mean_divergence_bits=-1.0)
    config = replace(QUICK, gate=gate, allow_regression=allowed)
    places = (tiny_training.folder, tmp_path / "convert", tmp_path / "report.html")
    verified = verify_models(VerifyInputs(*places, config))
    assert not verified.verification.ships and verified.shipped_on_request is allowed
    if allowed:
        require_shipping(verified)
    else:
        with pytest.raises(GateError, match="may not ship: the probabilities"):
            require_shipping(verified)


def test_settings_that_cannot_calibrate_are_refused_before_anything_is_read() -> None:
    refused: list[Callable[[], object]] = [
        lambda: ConvertConfig(calibration_photos=0),
        lambda: ConvertConfig(calibration_photos=-3),
        lambda: Gate(min_agreement=1.5),
        lambda: ConvertConfig(faults="fog"),
    ]
    for make in refused:
        with pytest.raises(UsageError):
            make()
