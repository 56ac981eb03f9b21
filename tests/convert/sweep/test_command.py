"""Promises of `python -m convert sweep` and `compare`, with a make that copies a finished build."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from convert.commands import sweep as command
from convert.sweep.trial import INSTRUCTIONS, TRIAL, Instructions, Trial
from device.workstation.records import RecordError
from tests.support.builds.build_folder import Build, convert, succeeded

pytestmark = pytest.mark.slow

NAMES = "mobilenet-v2@224 mobilenet-v2@32 mobilenet-v2@192"
"""The second one's make fails."""


class Folder:
    """A sweep in a folder of its own."""

    def __init__(self, build: Build, base: Path) -> None:
        rules = base / "rules.mk"
        parts = " ".join(str(build.folder / part) for part in ("train", "convert", "bundle"))
        copied = f"cp -r {parts} $(BUILD)"
        refused = "(echo 'error: 32 is too small'; exit 1)"
        rules.write_text(f"%: ; @if [ $(SIZE) = 32 ]; then {refused}; else {copied}; fi\n")
        self.make, self.build, self.out = f"make -f {rules}", build, base / "build" / "sweep"

    def sweep(self, names: str = NAMES) -> tuple[int, str, str]:
        training = ("--training", self.build.train)
        return convert(
            "sweep", *training, "--out", self.out, "--make", self.make, "--trials", names
        )


@pytest.fixture(scope="module")
def folder(build: Build, tmp_path_factory: pytest.TempPathFactory) -> Folder:
    made = Folder(build, tmp_path_factory.mktemp("sweep"))
    said = succeeded(made.sweep())
    assert "mobilenet-v2@32: failed: 32 is too small" in said and "Take mobilenet-v2@" in said
    return made


def test_a_trial_has_what_verification_found_and_what_it_costs(folder: Folder) -> None:
    trial = Trial.read(folder.out / "mobilenet-v2@224" / TRIAL)
    verified = folder.build.json("convert/verification.json")
    assert trial.figures is not None and trial.error == ""
    assert trial.figures.test.accuracy == pytest.approx(verified["int8_accuracy"])
    assert trial.figures.test.interval == pytest.approx(tuple(verified["int8_accuracy_interval"]))
    assert trial.figures.validation.n == len(trial.figures.validation.right)
    assert trial.figures.cost.macs == pytest.approx(299.5e6, rel=0.01)
    model = folder.build.folder / "convert" / "model_int8.tflite"
    assert trial.figures.cost.model_bytes == model.stat().st_size
    assert trial.figures.cost.invoke_ms > 0


def test_a_trial_that_failed_is_recorded_and_others_are_not_measured_twice(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = Trial.read(folder.out / "mobilenet-v2@32" / TRIAL)
    assert failed.figures is None and failed.error == "32 is too small"
    monkeypatch.setattr(command, "measure", lambda *given: pytest.fail("measured again"))
    before = (folder.out / "index.html").read_text()
    assert "32 is too small" in before
    succeeded(folder.sweep())


def test_counted_instructions_come_onto_the_page(folder: Folder) -> None:
    figures = Trial.read(folder.out / "mobilenet-v2@224" / TRIAL).figures
    assert figures is not None
    counts = dict.fromkeys(("cortex-a53", "cortex-a72", "cortex-a76"), 123_400_000)
    file = folder.out / "mobilenet-v2@224" / INSTRUCTIONS
    counted = Instructions(figures.model_sha256, "a runtime", counts)
    counted.write(file)
    succeeded(convert("compare", "--out", folder.out))
    assert "123.4" in (folder.out / "index.html").read_text()
    # Of another model they say nothing.
    replace(counted, model_sha256="00" * 32).write(file)
    succeeded(convert("compare", "--out", folder.out))
    assert "123.4" not in (folder.out / "index.html").read_text()


def test_trials_of_other_photos_are_not_replaced(folder: Folder) -> None:
    record = folder.out / "mobilenet-v2@192" / "train" / "data.json"
    old = record.read_text()
    record.write_text(json.dumps({**json.loads(old), "folder": "/other/photos"}))
    status, _, said = folder.sweep()
    record.write_text(old)
    assert status == 2 and len(said.splitlines()) == 1
    assert "mobilenet-v2@192 is a trial of other photos, /other/photos: remove" in said


def test_trials_of_different_photos_are_not_compared(folder: Folder) -> None:
    file = folder.out / "mobilenet-v2@192" / TRIAL
    old = file.read_text()
    file.write_text(json.dumps({**json.loads(old), "fingerprint": "00" * 32}))
    status, _, said = convert("compare", "--out", folder.out)
    file.write_text(old)
    assert status == 1 and len(said.splitlines()) == 1
    assert "was tried on other photos than" in said


def test_a_sweep_of_which_nothing_ended_well_says_so_and_has_its_page(
    build: Build, tmp_path: Path
) -> None:
    made = Folder(build, tmp_path)
    status, out, said = made.sweep("mobilenet-v2@32")
    assert status == 1 and said.endswith(
        "not one trial ended well; the first said: 32 is too small\n"
    )
    assert "No network" in out and (made.out / "index.html").exists()


def test_a_bundle_that_does_not_run_is_a_row_that_says_so(build: Build, tmp_path: Path) -> None:
    made = Folder(build, tmp_path)
    rules = tmp_path / "rules.mk"
    rules.write_text(f"{rules.read_text().rstrip()}; rm -f $(BUILD)/bundle/manifest.json\n")
    status, _, said = made.sweep("mobilenet-v2@224")
    assert status == 1 and "mobilenet-v2@224/bundle does not run: " in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--trials", "mobilenet"), "mobilenet: give BACKBONE@SIZE, as in mobilenet-v2@160"),
        (("--trials", ""), "no trial is named"),
        (("--trials", "a@1", "--jobs", "0"), "JOBS=0: give a number of trials, at least 1"),
        (("--trials", "a@1", "--jobs", "many"), "JOBS=many: give a number of trials"),
    ],
)
def test_bad_input_is_one_clear_line(
    arguments: tuple[str, ...], said: str, build: Build, tmp_path: Path
) -> None:
    places = ("--training", build.train, "--out", tmp_path / "sweep")
    status, _, error = convert("sweep", *places, *arguments)
    assert status == 2 and len(error.splitlines()) == 1 and said in error
    assert not os.path.exists(tmp_path / "sweep" / "index.html")


def test_comparing_without_a_sweep_says_what_to_run(tmp_path: Path) -> None:
    status, _, error = convert("compare", "--out", tmp_path)
    assert status == 1 and "run `make sweep` first" in error
    with pytest.raises(RecordError):
        command.compare(tmp_path)
