"""Promises of the whole path: rendered photos in, a verified bundle out, by the real commands."""

from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from scipy.special import log_softmax

from convert.artifacts.training import load_network, read_training
from device.contract import bundle as contract
from device.contract.preprocess import Preprocessing
from device.workstation.conversion import VerificationRecord
from device.workstation.training import (
    DATA,
    METRICS,
    PREPROCESSING,
    TIMINGS,
    DataRecord,
    Metrics,
    Part,
    Rules,
    Timings,
)
from tests.support.builds.build_folder import (
    CALIBRATION_PHOTOS,
    Build,
    begun,
    convert,
    copy,
    succeeded,
    train,
)
from tests.support.cli import device, lines
from train.data.rendered import CLASS_NAMES
from train.network.temperature import fit_temperature, logits_before

pytestmark = pytest.mark.slow

REPEATED = ("split.csv", "events.csv", "metrics.json", "labels.txt", "preprocess.json")
"""What the same seed gives again, byte for byte."""


# --- what training leaves -------------------------------------------------------------------------


def test_training_leaves_every_promised_file(trained: Build) -> None:
    for name in ("model.keras", "labels.txt", "preprocess.json", "split.csv", "metrics.json"):
        assert (trained.train / name).stat().st_size > 0, name
    assert (trained.train / "labels.txt").read_text() == "".join(f"{n}\n" for n in CLASS_NAMES)
    assert Rules.read(trained.train / PREPROCESSING).rules == Preprocessing()
    assert list((trained.train / "tensorboard").glob("events.out.*"))
    timings = Timings.read(trained.train / TIMINGS)
    assert timings.seconds.keys() >= {"first_features", "head"}
    assert list(timings.epochs_ended_s) == sorted(timings.epochs_ended_s)
    assert not list(trained.train.glob(".part-*"))


def test_metrics_are_of_the_test_part_and_above_chance(trained: Build) -> None:
    metrics = Metrics.read(trained.train / METRICS)
    test = metrics.test
    rows = [row for row in trained.rows() if row["part"] == "test"]
    assert test.n == len(rows) == sum(map(sum, test.confusion))
    assert test.accuracy >= 0.5
    assert test.interval[0] <= test.accuracy <= test.interval[1]
    right = sum(test.confusion[k][k] for k in range(len(CLASS_NAMES)))
    assert test.accuracy == pytest.approx(right / test.n)
    assert [figures.label for figures in test.per_class] == list(CLASS_NAMES)
    assert len(test.mistakes) == test.n - right
    assert {mistake.path for mistake in test.mistakes} <= {row["path"] for row in rows}
    assert [epoch.epoch for epoch in metrics.history] == [0, 1, 2]
    assert metrics.data.kind == "rendered"
    assert str(trained.folder) not in metrics.text()


def test_one_temperature_was_fitted_to_the_validation_part(trained: Build) -> None:
    training = read_training(trained.train)
    photos, metrics = training.photos[Part.VAL], training.metrics
    assert isinstance(metrics, Metrics)
    calibration, labels = metrics.calibration, np.array([photo.label for photo in photos])
    pixels = np.stack([training.pixels(photo) for photo in photos])
    probabilities = load_network(training.model_path)(pixels)["probabilities"].numpy()
    logits = logits_before(probabilities, calibration.temperature)
    fitted = fit_temperature(logits, labels, [photo.event for photo in photos])
    assert fitted == pytest.approx(calibration.temperature, rel=0.02)
    # What is lessened is (n + 1) L + U: the loss L of n events, and U of one imaginary photo of
    # unknown class. U is never below ln K of K classes, so L rises by (U - ln K) / (n + 1) at most.
    unknown = -log_softmax(logits, axis=1).mean()
    most = (unknown - np.log(len(CLASS_NAMES))) / (len(photos) + 1)
    assert calibration.validation.n == calibration.validation.events == len(photos)
    assert calibration.validation.after <= calibration.validation.before + most
    assert calibration.test.n == metrics.test.n


def test_the_report_shows_the_figures_and_says_what_they_are_of(trained: Build) -> None:
    report = (trained.train / "report.html").read_text("utf-8")
    accuracy = Metrics.read(trained.train / METRICS).test.accuracy
    assert f"{accuracy:.1%}" in report
    assert "no real photos" in report
    assert all(name in report for name in CLASS_NAMES)


# --- interruptions --------------------------------------------------------------------------------

AFTER_AN_EPOCH = """
import os, signal
from train.recipe.finetune import FineTuner
save = FineTuner._save
def saved_then_signalled(self, path, tuned):
    save(self, path, tuned)
    if tuned.epoch == 1:
        os.kill(os.getpid(), signal.{name})
FineTuner._save = saved_then_signalled
"""


@pytest.mark.long
def test_the_same_seed_gives_the_same_split_and_metrics_even_if_killed_between(
    trained: Build, tmp_path: Path
) -> None:
    build = Build(tmp_path)
    photos = DataRecord.read(trained.train / DATA).folder
    succeeded(train("data", "--data", photos, "--out", build.train))
    status, _, _ = build.fit(AFTER_AN_EPOCH.format(name="SIGKILL"))
    assert status == -9
    assert not (build.train / "model.keras").exists()
    said = succeeded(build.fit())
    assert "best epoch" in said
    for name in REPEATED:
        assert (build.train / name).read_bytes() == (trained.train / name).read_bytes(), name


def test_ctrl_c_keeps_the_best_so_far(trained: Build, tmp_path: Path) -> None:
    build = begun(trained, tmp_path)
    status, _, err = build.fit(AFTER_AN_EPOCH.format(name="SIGINT"))
    assert status == 0
    assert "the best epoch so far is kept" in err
    metrics = Metrics.read(build.train / METRICS)
    assert metrics.interrupted is True
    assert len(metrics.history) == 2
    assert metrics.history == Metrics.read(trained.train / METRICS).history[:2]
    assert load_network(build.train / "model.keras").output_shape


# --- what conversion leaves -----------------------------------------------------------------------


def test_int8_agrees_with_float_on_held_out_photos(build: Build) -> None:
    record = build.json("bundle/verification.json")
    assert record["n"] == sum(row["part"] == "test" for row in build.rows())
    assert record["agreement"] >= 0.9
    assert record["int8_accuracy"] >= 0.5
    assert record["export_agreement"] == 1
    assert record["export_max_probability_difference"] < 1e-3
    assert record["keras_accuracy"] == Metrics.read(build.train / METRICS).test.accuracy


def test_verification_has_every_promised_key(build: Build) -> None:
    record = build.json("bundle/verification.json")
    promised = {"n", "float_accuracy", "int8_accuracy", "agreement", "mcnemar_p", "passed"}
    promised |= {
        "float_accuracy_interval",
        "int8_accuracy_interval",
        "events",
        "per_class",
        "saturated_map_share",
    }
    assert promised <= record.keys()
    for name in ("float", "int8"):
        low, high = record[f"{name}_accuracy_interval"]
        assert 0 <= low <= record[f"{name}_accuracy"] <= high <= 1
    assert record["allow_regression"] is True
    assert [row["label"] for row in record["per_class"]] == list(CLASS_NAMES)


def test_verification_writes_the_whole_report_and_the_limits_of_the_validation_part(
    build: Build,
) -> None:
    record, page = build.json("bundle/verification.json"), build.folder / "report.html"
    text = page.read_text("utf-8")
    assert "Noise by layer" in text and "Confusion matrix" in text
    assert "<!-- quantization -->" not in text
    assert {row["layer"] for row in record["evidence"]["layers"]} >= {"conv0", "class_map"}
    assert record["threshold"]["n"] == record["n"] and record["threshold"]["value"] == 1
    assert [row["label"] for row in record["evidence"]["kept"]] == list(CLASS_NAMES)


def test_the_manifest_proves_what_is_in_the_bundle(build: Build) -> None:
    manifest = build.json("bundle/manifest.json")
    assert manifest["schema"] == contract.SCHEMA
    assert set(manifest["files"]) == set(contract.REQUIRED_FILES)
    for name, record in manifest["files"].items():
        data = (build.bundle / name).read_bytes()
        assert record == {"sha256": sha256(data).hexdigest(), "bytes": len(data)}
    assert manifest["input"] == {
        "shape": [1, 224, 224, 3],
        "dtype": "uint8",
        "scale": 1 / 128,
        "zero_point": 128,
    }
    outputs = manifest["outputs"]
    assert outputs["probabilities"]["shape"] == [1, 5]
    assert outputs["probabilities"]["scale"] == 1 / 256
    assert outputs["class_map"]["shape"] == [1, 7, 7, 5]
    assert manifest["preprocess_sha256"] == Preprocessing().sha256()
    verified = build.json("bundle/verification.json")
    assert verified.pop("schema") == VerificationRecord.SCHEMA and manifest[
        "threshold"
    ] == verified.pop("threshold")
    assert manifest["score_offset"] == verified.pop("score_offset")
    assert len(verified.pop("usual")["classes"]) == 5
    assert verified.pop("under_faults") is None
    assert verified.pop("evidence")["layers"] and manifest["verification"] == verified
    assert set(manifest["operators"]) >= {"CONV_2D", "DEPTHWISE_CONV_2D", "ADD", "SOFTMAX"}
    assert "PAD" not in manifest["operators"]
    assert manifest["oldest_runtime"] == "tflite-runtime 2.14.0 or ai-edge-litert 1.0.0"
    assert manifest["commit"] == manifest["commits"]["bundle"]
    assert manifest["commits"] == {
        "training": Timings.read(build.train / TIMINGS).commit,
        "export": build.json("convert/calibration.json")["commit"],
        "verification": build.json("convert/verification.json")["commit"],
        "bundle": manifest["commit"],
    }
    assert manifest["data"]["kind"] == "rendered"
    assert manifest["regression_allowed"] == bool(manifest["verification"]["failures"])


def test_calibration_is_a_stratified_sample_of_the_training_part(build: Build) -> None:
    listed = build.json("bundle/manifest.json")["calibration"]["photos"]
    rows = {row["path"]: row for row in build.rows()}
    assert len(listed) == len({photo["path"] for photo in listed}) == CALIBRATION_PHOTOS
    assert all(rows[photo["path"]]["part"] == "train" for photo in listed)
    assert all(rows[photo["path"]]["sha256"] == photo["sha256"] for photo in listed)
    for label in CLASS_NAMES:
        of_class = sum(rows[photo["path"]]["class"] == label for photo in listed)
        assert of_class == CALIBRATION_PHOTOS / len(CLASS_NAMES)


def test_the_card_says_that_no_real_photo_was_seen(build: Build) -> None:
    card = (build.bundle / "MODEL_CARD.md").read_text("utf-8")
    record = build.json("bundle/verification.json")
    assert "knows no real photos" in card
    assert f"{record['int8_accuracy']:.2%}" in card


def test_bundling_twice_gives_the_same_bytes(build: Build, tmp_path: Path) -> None:
    again = copy(build, tmp_path, "train", "convert")
    succeeded(again.convert("bundle"))
    first = build.folder / "bundle.tar"
    assert (again.folder / "bundle.tar").read_bytes() == first.read_bytes()
    assert contract.load(first).manifest == contract.load(again.bundle).manifest


def test_the_device_accepts_and_runs_the_bundle(build: Build, tmp_path: Path) -> None:
    samples = tmp_path / "samples"
    succeeded(convert("samples", "--training", build.train, "--out", samples))
    assert len(list(samples.iterdir())) == 2 * len(CLASS_NAMES)
    tested = {row["sha256"] for row in build.rows() if row["part"] == "test"}
    assert {sha256(path.read_bytes()).hexdigest() for path in samples.iterdir()} <= tested
    for bundle in (build.bundle, build.folder / "bundle.tar"):
        checked = device("selftest", "--bundle", bundle)
        assert checked.returncode == 0, checked.stderr
        assert "8 golden photos" in checked.stdout
    classified = device("classify", "--bundle", build.bundle, "--json", samples)
    assert classified.returncode == 0, classified.stderr
    found = lines(classified.stdout)
    assert len(found) == 2 * len(CLASS_NAMES)
    right = sum(record["label"] in Path(record["path"]).name for record in found)
    assert right >= len(found) // 2


def test_the_summary_names_data_figures_and_files(build: Build) -> None:
    places = ("--training", build.train, "--bundle", build.bundle)
    said = succeeded(convert("summary", *places))
    record = build.json("bundle/verification.json")
    assert "no real photos" in said
    assert f"{record['float_accuracy']:.2%}" in said and f"{record['int8_accuracy']:.2%}" in said
    assert f"n = {record['n']}" in said and "bundle.tar" in said
