"""Promises of make about sweeps: trials share the split and are done once; USE= builds one."""

from pathlib import Path

import pytest

from convert.sweep import work
from convert.sweep.work import planned
from tests.support.builds.workshop import FIRST, REST, Workshop, environment

TRIED = "SWEEP=mobilenet-v2@160 efficientnet-lite0@192"
TRIAL = ["train fit", "convert export", *REST]


@pytest.fixture(autouse=True)
def outside_of_make(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MAKEFLAGS", "MAKELEVEL"):
        monkeypatch.delenv(name, raising=False)
    assert "MAKEFLAGS" not in environment()


def tried(workshop: Workshop, *settings: str) -> tuple[list[str], dict[str, str]]:
    """Run two trials as `make sweep` does; the commands that were started, and the errors."""
    workshop.clear()
    plan = planned(["mobilenet-v2@160", "efficientnet-lite0@192"], workshop.build / "sweep")
    errors = work.run(plan, ["make", *workshop.places, *settings], 1, lambda line: None)
    return workshop.started(), errors


def test_a_sweep_splits_once_and_runs_and_tidies(workshop: Workshop) -> None:
    done = workshop.make("sweep", TRIED)
    assert done == ["train trials", "train data", "convert sweep", "train tidy"]
    # The split is not made again; whether a trial is done, each says for itself.
    assert workshop.make("sweep", TRIED) == ["train trials", "convert sweep", "train tidy"]


def test_make_n_runs_no_sweep(workshop: Workshop) -> None:
    assert workshop.make("-n", "sweep", TRIED) == []


def test_trials_take_split_and_weights_of_the_build_and_are_not_repeated(
    workshop: Workshop,
) -> None:
    workshop.make("data")
    done, errors = tried(workshop)
    assert not any(errors.values()), errors
    assert done == [*("train weights", *TRIAL) * 2]
    for name in ("mobilenet-v2@160", "efficientnet-lite0@192"):
        folder = workshop.build / "sweep" / name
        split = folder / "train" / "split.csv"
        assert split.read_bytes() == (workshop.build / "train" / "split.csv").read_bytes()
        assert not (folder / "weights").exists()
    made = (workshop.build / "sweep/efficientnet-lite0@192/train/model.keras").read_text()
    assert "--backbone efficientnet-lite0 --alpha 1.0 --size 192" in made
    assert tried(workshop)[0] == []


@pytest.mark.parametrize(("settings", "faults"), [((), "none"), (("FAULTS=jpeg",), "jpeg")])
def test_trials_leave_out_faults_of_cameras_unless_they_are_given(
    workshop: Workshop, settings: tuple[str, ...], faults: str
) -> None:
    workshop.make("data")
    tried(workshop, *settings)
    trial = workshop.build / "sweep/mobilenet-v2@160"
    assert f"--faults={faults}" in (trial / "convert/verification.json").read_text()


def test_a_trial_that_was_killed_is_continued_and_the_finished_one_is_left_alone(
    workshop: Workshop,
) -> None:
    workshop.make("data")
    workshop.hook("if command == ('train', 'fit') and 'lite0' in str(out): cut = 1")
    errors = tried(workshop)[1]
    assert errors["mobilenet-v2@160"] == "" and errors["efficientnet-lite0@192"] == "Killed"
    workshop.hook("")
    assert tried(workshop)[0] == TRIAL


def test_another_setting_or_split_tries_everything_again(workshop: Workshop) -> None:
    workshop.make("data")
    tried(workshop)
    assert tried(workshop, "EPOCHS=9")[0] == [*TRIAL * 2]
    assert tried(workshop, "EPOCHS=9", "CALIBRATION=7")[0] == [*TRIAL[1:] * 2]
    (workshop.build / "train" / "split.csv").write_text("another split")
    assert tried(workshop, "EPOCHS=9", "CALIBRATION=7")[0] == [*TRIAL * 2]


def test_trials_and_builds_take_over_each_others_caches(workshop: Workshop) -> None:
    workshop.make("data")
    for folder in (workshop.build, workshop.build / "sweep" / "mobilenet-v2@160"):
        (folder / "cache").mkdir(parents=True)
    tried(workshop)
    own, other = workshop.build / "cache", workshop.build / "sweep/mobilenet-v2@160/cache"
    made = [
        (workshop.build / "sweep" / name / "train" / "model.keras").read_text()
        for name in ("mobilenet-v2@160", "efficientnet-lite0@192")
    ]
    assert f"--caches {own}" in made[0] and f"{other}" not in made[0].partition("--caches")[2]
    assert f"--caches {own} {other}" in made[1]
    workshop.make("train")
    assert f"--caches {other}" in (workshop.build / "train" / "model.keras").read_text()


def test_the_teacher_of_a_trial_takes_over_what_another_trial_has_computed(
    workshop: Workshop,
) -> None:
    workshop.make("data")
    first = workshop.build / "sweep" / "mobilenet-v2@160"
    for folder in (first, first / "teacher" / "efficientnet-lite0"):
        (folder / "cache").mkdir(parents=True)
    _, errors = tried(workshop, "TEACHER=efficientnet-lite0")
    assert not any(errors.values()), errors
    teacher = "teacher/efficientnet-lite0"
    other = workshop.build / "sweep" / "efficientnet-lite0@192" / teacher / "train" / "model.keras"
    assert f"--caches {first}/cache {first}/{teacher}/cache" in other.read_text()


def test_use_builds_what_a_sweep_recommends(workshop: Workshop) -> None:
    done = workshop.make("bundle", "USE=efficientnet-lite0@192")
    assert sorted(done) == sorted([*FIRST, *REST])
    made = (workshop.build / "train" / "model.keras").read_text()
    assert "--backbone efficientnet-lite0 --alpha 1.0 --size 192" in made
    same = ("BACKBONE=efficientnet-lite0", "SIZE=192")
    assert workshop.make("bundle", *same) == []


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (("USE=mobilenet-v2",), "USE=mobilenet-v2: give BACKBONE@SIZE"),
        (("USE=mobilenet-v2@big",), "USE=mobilenet-v2@big: give BACKBONE@SIZE"),
        (("USE=mobilenet-v2@",), "give BACKBONE@SIZE"),
        (("USE=a@1@2",), "give BACKBONE@SIZE"),
        (("USE=resnet@224",), "BACKBONE=resnet: give one of mobilenet-v2"),
        (("USE=mobilenet-v2@192", "SIZE=160"), "says which BACKBONE and SIZE: do not give them"),
    ],
)
def test_a_use_that_names_no_network_is_refused_in_one_line(
    settings: tuple[str, ...], said: str, workshop: Workshop
) -> None:
    done = workshop.run("bundle", *settings)
    assert done.returncode == 2 and not done.stdout
    assert len(done.stderr.splitlines()) == 1 and said in done.stderr


def test_a_sweep_of_nothing_is_refused_before_any_photo_is_read(workshop: Workshop) -> None:
    workshop.hook("if command == ('train', 'trials'): sys.exit('error: SWEEP is empty')")
    done = workshop.run("sweep", "SWEEP=")
    assert done.returncode == 2 and "SWEEP is empty" in done.stderr
    assert not Path(workshop.build, "train").exists()
