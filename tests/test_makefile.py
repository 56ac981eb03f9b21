"""Promises of the Makefile, run with a stand-in for Python: what is needed is made, once."""

import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers import ROOT

STAND_IN = f"""#!{sys.executable}
import sys
from pathlib import Path

arguments = sys.argv[1:]
out = Path(arguments[arguments.index("--out") + 1]) if "--out" in arguments else Path()
made = {{
    ("train", "data"): ["split.csv", "data.json"],
    ("train", "audit"): ["audit.json"],
    ("train", "weights"): [],
    ("train", "fit"): [
        "labels.txt", "preprocess.json", "metrics.json", "report.html", "timings.json",
    ],
    ("convert", "export"): ["model_int8.tflite"],
    ("convert", "verify"): ["verification.json"],
    ("convert", "bundle"): ["../bundle.tar"],
    ("convert", "samples"): [],
}}
command = tuple(arguments[1:3])
if command == ("device", "selftest"):
    sys.exit(Path(arguments[-1] + ".damaged").exists())
out.mkdir(parents=True, exist_ok=True)
# As the real ones: a split or a network that is as before keeps its date.
contents = dict.fromkeys(made.get(command, ()), "made")
if command == ("train", "fit"):
    contents = {{"model.keras": " ".join(arguments), **contents}}
for name, content in contents.items():
    path = out / name
    if name not in ("split.csv", "model.keras") or not path.exists() or path.read_text() != content:
        path.write_text(content)
with Path(__file__).with_name("log").open("a") as log:
    print(*command, file=log)
"""


def environment() -> dict[str, str]:
    """Neither the variables of a make around the tests nor its job server."""
    return {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL")}


class Workshop:
    """The Makefile on a build folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.build = folder / "build"
        self._venv, self._log = folder / "venv", folder / "venv/bin/log"
        python = self._venv / "bin" / "python"
        python.parent.mkdir(parents=True)
        python.write_text(STAND_IN)
        python.chmod(python.stat().st_mode | stat.S_IXUSR)
        (self._venv / "ready").touch()

    def make(self, *arguments: str) -> list[str]:
        """Run make; the commands that it started, in order."""
        self._log.write_text("")
        places = (f"BUILD={self.build}", f"VENV={self._venv}")
        time.sleep(0.02)  # file systems count time in steps
        done = subprocess.run(
            ["make", "--no-print-directory", *places, *arguments],
            cwd=ROOT,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return self._log.read_text().splitlines()


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


FIRST = ["train data", "train weights", "train fit", "convert export"]
REST = ["convert verify", "convert bundle"]


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
    assert workshop.make("bundle") == REST
