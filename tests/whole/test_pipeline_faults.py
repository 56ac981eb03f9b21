"""Promises of the pipeline when something is wrong: one line, non-zero, nothing lost."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

import convert.__main__ as conversion
from convert.config import Gate
from convert.errors import GateError
from convert.targets import runtimes
from device.contract import bundle as contract
from device.workstation.training import DATA, DataRecord
from tests.support.builds.build_folder import Build, begun, copy, succeeded
from tests.support.cli import only_error

pytestmark = pytest.mark.slow


def test_a_photo_that_vanished_is_one_line_with_its_name(trained: Build, tmp_path: Path) -> None:
    build = begun(trained, tmp_path)
    shutil.rmtree(build.folder / "cache")
    record = DataRecord.read(build.train / DATA)
    moved = shutil.copytree(record.folder, tmp_path / "moved")
    replace(record, folder=str(moved)).write(build.train / DATA)
    gone = next(row["path"] for row in build.rows() if row["part"] == "train")
    (moved / gone).unlink()
    status, _, err = build.fit()
    assert status == 1
    assert gone in only_error(err)


def test_a_photo_that_was_exchanged_is_one_line_with_its_name(build: Build, tmp_path: Path) -> None:
    again = copy(build, tmp_path, "train", "convert", "bundle")
    record = DataRecord.read(again.train / DATA)
    moved = Path(shutil.copytree(record.folder, tmp_path / "moved"))
    replace(record, folder=str(moved)).write(again.train / DATA)
    # The smallest digest of a part: one that the golden outputs are of, too.
    train, test = (
        min((row["sha256"], row["path"]) for row in again.rows() if row["part"] == part)[1]
        for part in ("train", "test")
    )
    shutil.copyfile(moved / train, moved / test)
    for command in ("verify", "bundle"):
        status, _, err = again.convert(command)
        assert status == 1
        assert f"{test}: its content has changed" in only_error(err)
        assert "run `make data` again" in only_error(err)


NEWER_RECIPE = """
import sys
from train.data import augment
from train.recipe.finetune import FineTuner
augment.MIN_AREA = 0.2
# All views are cached by then.
FineTuner.run = lambda *_: sys.exit("enough")
"""


def test_a_newer_recipe_does_not_take_the_older_ones_views(trained: Build, tmp_path: Path) -> None:
    build = begun(trained, tmp_path)
    older = {path.name for path in (build.folder / "cache").glob("*.f16")}
    status, _, err = build.fit(NEWER_RECIPE)
    assert status == 1 and err.endswith("enough\n")
    newer = {path.name for path in (build.folder / "cache").glob("*.f16")}
    assert older and len(newer) == len(older) and not newer & older


# --- the gate -------------------------------------------------------------------------------------


def test_a_failing_gate_stops_the_bundle_and_leaves_the_old_one(
    build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = copy(build, tmp_path, "train", "convert", "bundle")
    before, verification = contract.load(again.bundle), again.bundle / "verification.json"
    verified = verification.read_bytes()
    monkeypatch.setattr(conversion, "Gate", partial(Gate, max_mean_divergence_bits=-1.0))
    status, out, err = again.convert("verify")
    assert status == GateError.exit_status == 3
    assert "may not ship" in only_error(err) and "Most noise comes from" in only_error(err)
    assert "gate FAILED" in out and "The gate failed" in (tmp_path / "report.html").read_text()
    record = again.json("convert/verification.json")
    assert record["passed"] is False and record["failures"]
    # What is said of the new model is not said of the one in the bundle.
    assert verification.read_bytes() == verified
    assert contract.load(again.bundle).manifest == before.manifest
    status, _, err = again.convert("bundle")
    assert status == 3
    assert "gate failed" in only_error(err)
    assert contract.load(again.bundle).manifest == before.manifest

    succeeded(again.convert("verify", "--allow-regression"))
    succeeded(again.convert("bundle"))
    shipped = contract.load(again.bundle)
    assert shipped.manifest["regression_allowed"] is True
    assert shipped.manifest["verification"]["passed"] is False
    assert "failed, shipped on request" in (again.bundle / "MODEL_CARD.md").read_text("utf-8")


def test_a_model_that_no_runtime_loads_is_not_even_exported(
    build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = copy(build, tmp_path, "train", "convert")
    before = (tmp_path / "convert" / contract.MODEL).read_bytes()
    older = [replace(s, operators={**s.operators, "CONV_2D": 1}) for s in runtimes.read_runtimes()]
    monkeypatch.setattr(runtimes, "read_runtimes", lambda: tuple(older))
    status, _, err = again.export("--seed", "7")
    assert status == GateError.exit_status
    assert "has CONV_2D up to version 1" in only_error(err)
    assert (tmp_path / "convert" / contract.MODEL).read_bytes() == before


def test_another_model_than_the_verified_one_is_not_bundled(build: Build, tmp_path: Path) -> None:
    again = copy(build, tmp_path, "train", "convert", "bundle")
    succeeded(again.export("--seed", "7"))
    status, _, err = again.convert("bundle")
    assert status == 1
    assert "is about another model; remove it and run `make verify`" in only_error(err)
    assert contract.load(again.bundle).manifest == contract.load(build.bundle).manifest


# --- damaged inputs -------------------------------------------------------------------------------


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def write(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


def without(key: str) -> Callable[[Path], object]:
    def remove(path: Path) -> None:
        record = json.loads(path.read_text())
        del record[key]
        path.write_text(json.dumps(record))

    return remove


def changed(key: str, value: object) -> Callable[[Path], object]:
    return lambda path: path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))


DAMAGES: dict[str, tuple[str, str, Callable[[Path], object]]] = {
    "truncated network": ("export", "train/model.keras", cut),
    "no network": ("export", "train/model.keras", Path.unlink),
    "empty network": ("verify", "train/model.keras", write(b"")),
    "truncated metrics": ("verify", "train/metrics.json", cut),
    "other metrics": ("verify", "train/metrics.json", write(b"{}")),
    "older metrics": ("export", "train/metrics.json", without("schema")),
    "newer metrics": ("export", "train/metrics.json", changed("schema", 99)),
    "text for history": ("bundle", "train/metrics.json", changed("history", "none")),
    "empty metrics": ("export", "train/metrics.json", write(b"")),
    "older data record": ("verify", "train/data.json", without("schema")),
    "older rules": ("export", "train/preprocess.json", without("schema")),
    "older timings": ("bundle", "train/timings.json", without("schema")),
    "list for metrics": ("bundle", "train/metrics.json", write(b"[]")),
    "no report": ("verify", "train/report.html", Path.unlink),
    "other report": ("verify", "train/report.html", write(b"<html></html>")),
    "verification without threshold": ("bundle", "convert/verification.json", without("threshold")),
    "truncated data record": ("export", "train/data.json", cut),
    "list for data record": ("export", "train/data.json", write(b"[]")),
    "other labels": ("export", "train/labels.txt", write(b"rose\ntulip\n")),
    "one label more": ("verify", "train/labels.txt", lambda p: p.open("a").write("weed\n")),
    "no labels": ("bundle", "train/labels.txt", Path.unlink),
    "other rules": ("export", "train/preprocess.json", write(b'{"crop": "left"}')),
    "list for rules": ("export", "train/preprocess.json", write(b"[]")),
    "other split": ("export", "train/split.csv", write(b"path,class\na,rose\n")),
    "no list of strangers": ("export", "train/strangers.csv", Path.unlink),
    "truncated list of strangers": ("verify", "train/strangers.csv", cut),
    "empty split": ("export", "train/split.csv", write(b"")),
    "truncated int8 model": ("verify", "convert/model_int8.tflite", cut),
    "no float model": ("verify", "convert/model_float32.tflite", Path.unlink),
    "edited int8 model": ("bundle", "convert/model_int8.tflite", cut),
    "list for verification": ("bundle", "convert/verification.json", write(b"[]")),
    "truncated verification": ("bundle", "convert/verification.json", cut),
    "no verification": ("bundle", "convert/verification.json", Path.unlink),
    "no timings": ("export", "train/timings.json", Path.unlink),
    "list for timings": ("export", "train/timings.json", write(b"[]")),
    "truncated equalization": ("verify", "convert/equalization.npz", cut),
    "no equalization": ("bundle", "convert/equalization.npz", Path.unlink),
    "truncated statistics": ("verify", "convert/statistics.npz", cut),
    "no statistics": ("bundle", "convert/statistics.npz", Path.unlink),
    "no calibration": ("verify", "convert/calibration.json", Path.unlink),
    "other calibration": ("bundle", "convert/calibration.json", write(b'{"seed": 0}')),
    "list for calibration": ("bundle", "convert/calibration.json", write(b"[]")),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_input_is_one_line_and_changes_nothing(
    build: Build, tmp_path: Path, name: str
) -> None:
    command, damaged, damage = DAMAGES[name]
    again = copy(build, tmp_path, "train", "convert", "bundle")
    damage(again.folder / damaged)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    done = again.export() if command == "export" else again.convert(command)
    assert done[0] == 1, done
    assert only_error(done[2])
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("count", ["0", "-3"])
def test_no_calibration_photos_are_refused(build: Build, count: str) -> None:
    status, _, err = build.export("--calibration-photos", count)
    assert status == 2
    assert "--calibration-photos" in only_error(err)
