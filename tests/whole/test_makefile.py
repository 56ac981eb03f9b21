"""Promises of the Makefile, run with a stand-in for Python: what is needed is made, once."""

import os
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.places import ROOT
from tests.support.workshop import FIRST, REST, Workshop, environment


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
    assert workshop.make("bundle") == ["convert bundle"]
