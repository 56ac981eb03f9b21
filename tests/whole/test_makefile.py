"""Promises of the Makefile, run with a stand-in for Python: what is needed is made, once."""

import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from device.workstation.faults.catalogue import FAULTS
from tests.support.builds.workshop import FIRST, REST, Workshop, environment, makefiles, rules
from tests.support.pages import tracked
from tests.support.places import ROOT
from train.network.backbones import BACKBONES

SWITCHES = (
    *("CLEAN", "ROBUST", "THUMBNAILS", "ALLOW_REGRESSION", "ALLOW_CPU_OPERATORS"),
    *("LOWER", "RESUME", "NEW", "WIFI_HIDDEN", "FORCE"),
)


def test_a_bundle_is_made_step_by_step_and_nothing_runs_twice(workshop: Workshop) -> None:
    assert sorted(workshop.make("bundle")) == sorted(FIRST + REST)
    assert workshop.make("bundle") == []


def test_cleaning_audits_first_and_trains_anew_only_if_the_split_changed(
    workshop: Workshop,
) -> None:
    workshop.make("bundle")
    done = workshop.make("bundle", "CLEAN=1")
    assert done[:2] == ["train audit", "train data"] and "train fit" not in done
    assert workshop.make("bundle", "CLEAN=1") == []


def test_make_knows_the_backbones_that_can_be_trained(workshop: Workshop) -> None:
    refused = workshop.run("-n", "bundle", "BACKBONE=resnet")
    assert refused.returncode != 0
    assert f"give one of {' '.join(BACKBONES)}." in refused.stderr
    for name in BACKBONES:
        assert f"--backbone {name} " in workshop.run("-n", "bundle", f"BACKBONE={name}").stdout


def test_a_backbone_that_cannot_be_shrunk_is_refused_before_it_is_trained(
    workshop: Workshop,
) -> None:
    refused = workshop.run("-n", "micro", "BACKBONE=efficientnet-lite0")
    assert refused.returncode != 0 and "make micro needs BACKBONE=mobilenet-v2" in refused.stderr
    assert "train fit" not in refused.stdout


def test_the_size_of_a_pupil_is_refused_where_there_is_none(workshop: Workshop) -> None:
    short = "BACKBONE=efficientnet-lite0-short"
    refused = workshop.run("-n", "micro", short, "MICRO_SIZE=128")
    assert refused.returncode != 0 and f"with {short} give SIZE=128" in refused.stderr
    assert "--size 128" in workshop.run("-n", "micro", short, "SIZE=128").stdout


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("SIZE=225", "give a multiple of 32"),
        ("USE=efficientnet-lite0@226", "SIZE=226: give a multiple of 4"),
        ("MICRO_SIZE=100", "give a multiple of 32"),
        ("VIEWS=many", "give a whole number in 1..64"),
        ("CALIBRATION=0", "give a whole number"),
        ("FAULTS=jpeg,fog", "FAULTS=jpeg,fog: give all, none, or some of defocus"),
        ("FAULTS=", "give all, none"),
        ("FAULTS=jpeg defocus", "some of defocus"),
        ("EPOCHS=", "EPOCHS=: give a whole number"),
        ("RUNTIME=onnx", "give auto, ai-edge-litert or tflite-runtime"),
    ],
)
def test_what_a_later_step_would_refuse_is_refused_before_any_photo_is_read(
    workshop: Workshop, setting: str, said: str
) -> None:
    refused = workshop.run("bundle", setting)
    assert refused.returncode == 2 and said in refused.stderr and workshop.started() == []
    # Of make's own lines there is one at most: which rule it was.
    ours = [line for line in refused.stderr.splitlines() if not line.startswith("make: *** [")]
    assert len(ours) <= 1 and len(refused.stderr.splitlines()) <= 2


@pytest.mark.parametrize("goals", [("bundle", "SIZE=225"), ("sweep", "SWEEP=nonsense")])
def test_a_setting_that_is_refused_costs_nothing_that_was_made(
    workshop: Workshop, goals: tuple[str, ...]
) -> None:
    workshop.hook("if command == ('train', 'trials'): sys.exit('error: no such network')")
    workshop.make("audit")
    workshop.make("bundle")
    refused = workshop.run(*goals)
    assert refused.returncode == 2 and len(refused.stderr.splitlines()) == 2, refused.stderr
    assert workshop.make("bundle") == [] and workshop.make("audit") == []


def test_an_audit_that_fails_leaves_the_page_of_the_last_one(workshop: Workshop) -> None:
    workshop.make("audit")
    workshop.hook("if command == ('train', 'audit'): sys.exit('error: no photos')")
    assert workshop.run("audit", "SEED=1").returncode == 2
    assert (workshop.build / "train" / "audit.html").exists()


@pytest.mark.parametrize("name", SWITCHES)
def test_a_switch_is_1_or_0_and_no_word(workshop: Workshop, name: str) -> None:
    for value in ("no", "off", "1 0", "2"):
        refused = workshop.run("-n", "help", f"{name}={value}")
        assert refused.returncode == 2 and f"{name}={value}: give 1, or 0" in refused.stderr
        assert len(refused.stderr.splitlines()) == 1
    for value in ("1", "0", ""):
        assert workshop.run("-n", "help", f"{name}={value}").returncode == 0


def test_every_switch_is_checked() -> None:
    told = re.findall(r"^# 1: (?:[^\n]*\n# )*[^\n]*\n([A-Z_]+) \?=", rules(), re.M)
    assert sorted(told) == sorted(SWITCHES)


@pytest.mark.parametrize("names", ["st_full", "ours", "tutorial tutorial", "ours st_full"])
def test_recipes_without_those_of_the_table_are_refused_before_any_photo_is_read(
    names: str, workshop: Workshop
) -> None:
    refused = workshop.run("bench-train", f"RECIPES={names}")
    assert refused.returncode == 2 and workshop.started() == []
    assert f"RECIPES={names}: the table compares with tutorial and ours" in refused.stderr
    for enough in ("", "ours tutorial", "tutorial head_only ours"):
        assert workshop.run("-n", "help", f"RECIPES={enough}").returncode == 0


def test_settings_of_a_card_are_refused_before_any_photo_is_read(workshop: Workshop) -> None:
    workshop.hook("if command == ('device.image', 'check'): sys.exit('error: UPDATE_URL: ...')")
    refused = workshop.run("image", "UPDATE_URL=ftp://x")
    assert refused.returncode == 2 and "UPDATE_URL" in refused.stderr
    assert workshop.started() == []


def test_all_faults_that_there_are_can_be_named(workshop: Workshop) -> None:
    names = ",".join(fault.name for fault in FAULTS)
    assert f"--faults='{names}'" in workshop.run("-n", "bundle", f"FAULTS={names}").stdout


def test_the_audit_uses_the_features_that_its_limits_were_found_with(workshop: Workshop) -> None:
    said = workshop.run("-n", "audit", "BACKBONE=efficientnet-lite0", "WEIGHTS=lite.pth").stdout
    assert "weights --backbone mobilenet-v2" in said
    assert "lite.pth" not in said.partition("train audit")[2].partition("\n")[0]


@pytest.mark.parametrize(
    "missing", ["report.html", "metrics.json", "labels.txt", "preprocess.json", "timings.json"]
)
def test_a_missing_file_of_training_is_made_good_and_nothing_is_exported_again(
    workshop: Workshop, missing: str
) -> None:
    workshop.make("bundle")
    (workshop.build / "train" / missing).unlink()
    assert workshop.make("bundle") == ["train fit"]
    assert workshop.make("bundle") == []


def test_a_missing_network_is_trained_and_exported_again(workshop: Workshop) -> None:
    workshop.make("bundle")
    (workshop.build / "train" / "model.keras").unlink()
    assert workshop.make("bundle") == ["train fit", "convert export", *REST]
    assert workshop.make("bundle") == []


@pytest.mark.parametrize(
    ("change", "again"),
    [
        ("EPOCHS=9", ["train fit", "convert export", *REST]),
        (
            "BACKBONE=efficientnet-lite0",
            ["train weights", "train fit", "convert export", *REST],
        ),
        ("CALIBRATION=50", ["convert export", *REST]),
        ("ALLOW_REGRESSION=1", REST),
        ("MICRO_EPOCHS=1", []),
    ],
)
def test_a_changed_variable_makes_anew_what_depends_on_it_and_no_more(
    workshop: Workshop, change: str, again: list[str]
) -> None:
    workshop.make("bundle")
    assert workshop.make("bundle", change) == again
    assert workshop.make("bundle", change) == []


def test_another_split_is_exported_and_verified_though_the_network_came_out_the_same(
    workshop: Workshop,
) -> None:
    workshop.make("bundle")
    time.sleep(0.02)
    os.utime(workshop.build / "train" / "split.csv")
    assert workshop.make("bundle") == ["train fit", "convert export", *REST]
    assert workshop.make("bundle") == []


def test_a_dollar_in_a_password_reaches_the_card() -> None:
    password = "pa$word$$x#1"
    for given in ([f"WIFI_PASSWORD={password}"], []):
        inherited = environment() if given else {**environment(), "WIFI_PASSWORD": password}
        command = ["make", "--eval=show: ; @printenv WIFI_PASSWORD", "show", *given]
        done = subprocess.run(
            command, cwd=ROOT, env=inherited, capture_output=True, text=True, check=True
        )
        assert done.stdout == f"{password}\n"


def test_a_folder_with_an_apostrophe_is_scanned_once(workshop: Workshop, tmp_path: Path) -> None:
    folder = tmp_path / "mum's photos"
    folder.mkdir()
    assert "train data" in workshop.make("bundle", f"DATA={folder}")
    assert workshop.make("bundle", f"DATA={folder}") == []


@pytest.mark.parametrize("damaged", ["bundle", "bundle.tar"])
def test_make_bundle_makes_good_a_bundle_that_is_damaged(workshop: Workshop, damaged: str) -> None:
    workshop.make("bundle")
    (workshop.build / f"{damaged}.damaged").touch()
    assert workshop.make("bundle") == ["convert bundle"]


# --- help and parts -------------------------------------------------------------------------------

TERMINAL_COLUMNS = 80
SECTIONS = ["PIPELINE", "BOARDS", "MEASUREMENTS", "UPKEEP"]


@pytest.fixture(scope="module")
def help_lines() -> list[str]:
    done = subprocess.run(
        ["make", "help"], cwd=ROOT, env=environment(), capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


def test_every_part_of_the_makefile_is_included() -> None:
    parts = {name for name in tracked() if name.endswith(".mk")}
    assert parts and parts == set(makefiles()) - {"Makefile"}


def test_no_variable_that_users_may_give_has_a_second_meaning() -> None:
    """`CUTS` was a number of power cuts and a list of boxes: giving the number split anew."""
    written = "\n".join((ROOT / name).read_text("utf-8") for name in makefiles())
    given = set(re.findall(r"^([A-Za-z_]+) *\?=", written, re.M))
    own = set(re.findall(r"^([A-Za-z_]+) *:?=", written, re.M))
    assert len(given) > 20 and len(own) > 20
    # What USE= says is said of these two.
    assert given & own == {"BACKBONE", "SIZE"}


def test_every_target_has_a_line_in_the_help(help_lines: list[str]) -> None:
    targets = re.findall(r"^([a-z][a-z-]*):(?!=)", rules(), re.M)
    told = [line.split()[0] for line in help_lines if re.match(r"  [a-z-]+ +\S", line)]
    assert sorted(told) == sorted(set(targets) - {"force"})


def test_every_variable_has_an_explanation_of_its_own_in_the_help(help_lines: list[str]) -> None:
    variables = re.findall(r"^([A-Z_]+) \?=", rules(), re.M)
    explained = dict(re.findall(r"^# (?:.*\n# )*(.*)\n([A-Z_]+) \?=", rules(), re.M))
    assert sorted(explained.values()) == sorted(variables), "each has its own comment above it"
    for last_line, name in explained.items():
        assert any(line.startswith(f"  {name}=") for line in help_lines), name
        assert any(line.endswith(f" {last_line}") for line in help_lines), name


def test_the_help_fits_a_terminal_with_the_pipeline_first(help_lines: list[str]) -> None:
    assert [line for line in help_lines if line.isupper() and line.isalpha()] == SECTIONS
    assert max(map(len, help_lines)) <= TERMINAL_COLUMNS


# --- the light door -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pytest_options", "light"),
    [
        ("tests/device", True),
        ("-q tests/device/test_child.py::test_a tests/device/camera -k 'a or b'", True),
        ("tests/device tests/whole", False),
        ("tests/device ./tests/convert/pack", False),
        ("-k device", False),
        ("", False),
    ],
)
def test_tests_of_the_device_alone_set_up_the_light_environment_alone(
    workshop: Workshop, tmp_path: Path, pytest_options: str, light: bool
) -> None:
    places = (f"LIGHT_VENV={tmp_path}/light", f"PYTEST={pytest_options}")
    done = workshop.run("-n", "test", *places)
    assert done.returncode == 0, done.stderr
    made = ("light/ready", "venv-device/ready", "wheel/ready", "weights/mobilenet-v2.ready")
    found = [name for name in made if f"touch {tmp_path}" in done.stdout and name in done.stdout]
    assert found == ([made[0]] if light else list(made[1:]))
    assert (f"{tmp_path}/light/bin/python -m pytest" in done.stdout) == light
    # What is left out is said.
    assert ("tests marked slow are left out" in done.stdout) == light


def test_the_wheel_is_built_again_after_a_change_in_any_folder_of_the_device_package(
    workshop: Workshop,
) -> None:
    rules = workshop.run("-n", "-p", "wheel").stdout
    (line,) = re.findall(rf"^{re.escape(str(workshop.build))}/wheel/ready: (.*)$", rules, re.M)
    stays = ("device/image/", "device/deploy/", "device/fleet/", "device/workstation/")
    kinds = (".py", ".toml", ".html", ".css", ".js", "py.typed")
    goes = {name for name in tracked() if name.startswith("device/") and name.endswith(kinds)}
    watched = {name for name in line.split() if name.startswith("device/")}
    assert watched == {name for name in goes if not name.startswith(stays)}
    assert {"device/camera/http/auth.py", "device/outputs/web/page.html"} <= watched


@pytest.mark.parametrize("version", ["3.81", "3.82.90", "4.0", "4.2.1"])
def test_a_make_that_is_too_old_says_what_to_install(workshop: Workshop, version: str) -> None:
    done = workshop.run("bundle", f"MAKE_VERSION={version}")
    assert done.returncode == 2 and not done.stdout
    (line,) = done.stderr.splitlines()
    assert "GNU make 4.3 or newer" in line and "brew install make" in line


def test_makes_to_come_are_taken(workshop: Workshop) -> None:
    for version in ("4.3", "4.4.1", "4.10", "5.0"):
        workshop.make("-n", "bundle", f"MAKE_VERSION={version}")


def test_a_real_old_make_says_so_too(workshop: Workshop) -> None:
    old = shutil.which("make-3.81")
    if not old:
        pytest.skip("no GNU make 3.81 on the PATH as make-3.81")
    done = subprocess.run([old, "bundle"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "GNU make 4.3 or newer" in done.stderr
