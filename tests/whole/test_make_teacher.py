"""Promises of make about teachers: trained before their pupil, on its split, and only if needed."""

from pathlib import Path

import pytest

from tests.support.builds.workshop import FIRST, REST, Workshop

LITE = "TEACHER=efficientnet-lite0"
FIT = ["train fit", "convert export", *REST]


def folder(workshop: Workshop, name: str = "efficientnet-lite0") -> Path:
    return workshop.build / "teacher" / name / "train"


def given(path: Path) -> str:
    """The arguments that made a network."""
    return (path / "model.keras").read_text()


def test_a_teacher_is_trained_first_on_the_pupils_split(workshop: Workshop) -> None:
    done = workshop.make("bundle", LITE)
    assert sorted(done) == sorted([*FIRST, "train weights", "train fit", *REST])
    for name in ("split.csv", "events.csv", "cuts.csv", "data.json"):
        wanted = (workshop.build / "train" / name).read_bytes()
        assert (folder(workshop) / name).read_bytes() == wanted
    assert f"--teacher {folder(workshop)}" in given(workshop.build / "train")
    assert "--backbone efficientnet-lite0" in given(folder(workshop))
    assert "--teacher" not in given(folder(workshop))
    assert workshop.make("bundle", LITE) == []


def test_without_a_teacher_none_is_trained(workshop: Workshop) -> None:
    assert workshop.make("bundle", "TEACHER=none") == [*FIRST, *REST]
    assert not (workshop.build / "teacher").exists()
    assert "--teacher" not in given(workshop.build / "train")


def test_another_teacher_trains_the_pupil_again_and_a_known_one_is_kept(
    workshop: Workshop,
) -> None:
    workshop.make("bundle", "TEACHER=none")
    assert workshop.make("bundle", LITE) == ["train weights", "train fit", *FIT]
    assert workshop.make("bundle", "TEACHER=none") == FIT
    assert workshop.make("bundle", LITE) == FIT
    assert workshop.make("bundle", LITE, "EPOCHS=9", "VIEWS=2") == FIT
    both = "TEACHER=efficientnet-lite0 efficientnet-lite2"
    assert workshop.make("bundle", both) == ["train weights", "train fit", *FIT]
    for name in both.removeprefix("TEACHER=").split():
        assert str(folder(workshop, name)) in given(workshop.build / "train")


def test_another_split_teaches_the_teacher_again(workshop: Workshop) -> None:
    workshop.make("bundle", LITE)
    done = workshop.make("bundle", LITE, "SEED=1")
    assert done == ["train data", "train fit", *FIT]
    assert workshop.make("bundle", LITE, "SEED=1") == []


def test_a_teacher_knows_the_faults_that_its_pupil_is_shown(workshop: Workshop) -> None:
    workshop.make("bundle", LITE)
    assert "--no-robust" not in given(folder(workshop))
    assert workshop.make("bundle", LITE, "ROBUST=0") == ["train fit", *FIT]
    assert "--no-robust" in given(folder(workshop))
    assert "--no-robust" in given(workshop.build / "train")


@pytest.mark.parametrize("count", [0, 1, 5])
def test_a_teacher_whose_training_was_killed_is_trained_whole(
    workshop: Workshop, count: int
) -> None:
    workshop.hook(f"if command == ('train', 'fit') and 'teacher' in str(out): cut = {count}")
    assert workshop.run("bundle", LITE).returncode != 0
    workshop.hook("")
    assert workshop.make("bundle", LITE).count("train fit") == 2
    assert workshop.make("bundle", LITE) == []


@pytest.mark.parametrize("name", ["model.keras", "metrics.json", "timings.json"])
def test_a_teacher_of_which_a_file_was_removed_is_trained_again(
    workshop: Workshop, name: str
) -> None:
    workshop.make("bundle", LITE)
    (folder(workshop) / name).unlink()
    assert "train fit" in workshop.make("train", LITE, "EPOCHS=9")
    assert (folder(workshop) / name).exists()
    workshop.make("bundle", LITE, "EPOCHS=9")
    assert workshop.make("bundle", LITE, "EPOCHS=9") == []


def test_a_teacher_that_nobody_knows_is_refused_in_one_line(workshop: Workshop) -> None:
    done = workshop.run("bundle", "TEACHER=resnet")
    assert done.returncode == 2 and "TEACHER=resnet: give none, or some of" in done.stderr
    assert not (workshop.build / "teacher").exists()


def test_the_short_network_becomes_sources_for_a_microcontroller_as_it_is(
    workshop: Workshop,
) -> None:
    short = "BACKBONE=efficientnet-lite0-short"
    done = workshop.make("micro", short, LITE)
    assert done[-2:] == ["convert bundle", "convert micro"] and "train distill" not in done
    assert workshop.make("micro", short, LITE) == []
    # And a pupil of MobileNetV2 in the same folder is none of it.
    assert "train distill" in workshop.make("micro")
    assert "convert micro" in workshop.make("micro", short, LITE)
