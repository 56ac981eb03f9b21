"""Promises of make about its steps: whole or not at all, never stuck, and made by today's code."""

import ast
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.builds.workshop import FIRST, REST, Workshop
from tests.support.places import ROOT
from tests.whole.test_make_photos import age, project, write
from train.recipe.fit import FIT_CODE
from train.stamps import CODE, EXEMPT, LIBRARIES, code_digest

TRAINED = ("train/labels.txt", "train/preprocess.json", "train/metrics.json", "train/report.html")
EXPORTED = (
    *("convert/model_float32.tflite", "convert/equalization.npz", "convert/statistics.npz"),
    *("convert/calibration.json", "convert/model_int8.tflite"),
)
SPLIT = ("data.json", "events.csv", "cuts.csv", "split.csv", "strangers.csv")
STEPS = {
    "train data": ("SEED=1", tuple(f"train/{name}" for name in SPLIT)),
    "train fit": ("EPOCHS=9", ("train/model.keras", *TRAINED, "train/timings.json")),
    "convert export": ("CALIBRATION=3", EXPORTED),
    "convert verify": ("ALLOW_REGRESSION=1", ("convert/verification.json", "report.html")),
    "convert bundle": ("SEED=1", ("bundle/manifest.json", "bundle.tar")),
}
"""What makes a step run again, and its files in their order."""
CUTS = [
    *(("train data", 0), ("train data", 1), ("train fit", 0), ("train fit", 1), ("train fit", 5)),
    *(("convert export", count) for count in range(4)),
    *((step, count) for step in ("convert verify", "convert bundle") for count in range(2)),
    # All is written, and the stamp is not.
    *(("train data", len(SPLIT)), ("convert verify", 2)),
]


def cut(workshop: Workshop, step: str, count: int) -> None:
    workshop.hook(f"if ' '.join(command) == {step!r}: cut = {count}")


@pytest.mark.parametrize(("step", "count"), CUTS)
def test_a_step_that_was_killed_is_done_again_whole(
    workshop: Workshop, step: str, count: int
) -> None:
    change, files = STEPS[step]
    for settings in ((), (change,)):
        cut(workshop, step, count)
        assert workshop.run("bundle", *settings).returncode != 0
        workshop.hook("")
        assert step in workshop.make("bundle", *settings)
        assert workshop.make("bundle", *settings) == []
        if step.startswith("convert"):
            assert len({(workshop.build / name).read_text() for name in files}) == 1


def test_whatever_is_removed_is_made_again(workshop: Workshop) -> None:
    workshop.make("bundle")
    for step, (_, files) in STEPS.items():
        for name in files:
            (workshop.build / name).unlink()
            assert step in workshop.make("bundle"), name
            assert (workshop.build / name).exists(), name
    assert workshop.make("bundle") == []


@pytest.mark.parametrize("removed", ["bundle", "bundle bundle.tar", "convert", "train", "cache"])
def test_removed_folders_are_no_dead_end(workshop: Workshop, removed: str) -> None:
    workshop.make("bundle")
    for name in removed.split():
        path = workshop.build / name
        shutil.rmtree(path, ignore_errors=True)
        path.unlink(missing_ok=True)
    # The target that uses the folder, not only the one that is named for making it good.
    workshop.make("selftest")
    assert (workshop.build / "bundle/manifest.json").exists()
    assert workshop.make("bundle") == []


def test_a_bundle_that_is_gone_needs_no_other_step(workshop: Workshop) -> None:
    workshop.make("bundle")
    shutil.rmtree(workshop.build / "bundle")
    (workshop.build / "bundle.tar").unlink()
    assert workshop.make("bundle") == ["convert bundle"]


def test_a_failed_verification_runs_again_and_packs_nothing(workshop: Workshop) -> None:
    workshop.make("bundle")
    packed = (workshop.build / "bundle.tar").read_text()
    cut(workshop, "convert verify", 2)
    for _ in range(2):
        assert workshop.run("bundle", "CALIBRATION=3").returncode != 0
        assert (workshop.build / "bundle.tar").read_text() == packed
    workshop.hook("")
    assert workshop.make("bundle", "CALIBRATION=3") == REST


def test_teaching_no_faults_of_cameras_trains_again(workshop: Workshop) -> None:
    workshop.make("bundle")
    assert "--no-robust" not in (workshop.build / "train/model.keras").read_text()
    assert workshop.make("bundle", "ROBUST=0") == ["train fit", "convert export", *REST]
    assert "--no-robust" in (workshop.build / "train/model.keras").read_text()
    assert workshop.make("bundle", "ROBUST=0") == []
    assert "train fit" in workshop.make("bundle", "ROBUST=1")
    assert workshop.make("bundle") == []
    assert "--no-robust" not in (workshop.build / "train/model.keras").read_text()


def test_thumbnails_are_packed_without_any_other_step_and_only_where_wanted(
    workshop: Workshop,
) -> None:
    workshop.make("bundle")
    packed = workshop.build / "bundle/manifest.json"
    assert "--thumbnails" not in packed.read_text()
    assert workshop.make("bundle", "THUMBNAILS=1") == ["convert bundle"]
    assert "--thumbnails" in packed.read_text()
    assert workshop.make("bundle", "THUMBNAILS=1") == []
    assert workshop.make("bundle", "THUMBNAILS=0") == ["convert bundle"]
    assert "--thumbnails" not in packed.read_text()
    assert workshop.make("bundle") == []


def test_other_faults_of_cameras_verify_again_and_quantize_nothing(workshop: Workshop) -> None:
    workshop.make("bundle")
    for given in ("none", "jpeg,defocus"):
        assert workshop.make("bundle", f"FAULTS={given}") == REST
        made = (workshop.build / "convert/verification.json").read_text()
        assert f"--faults={given}" in made
    assert workshop.make("bundle") == REST
    assert "--faults=all" in (workshop.build / "convert/verification.json").read_text()


@pytest.mark.parametrize("count", range(3))
def test_an_audit_that_was_killed_is_done_again(workshop: Workshop, count: int) -> None:
    cut(workshop, "train audit", count)
    assert workshop.run("audit").returncode != 0
    workshop.hook("")
    assert workshop.make("audit") == ["train audit"]
    assert workshop.make("audit") == []
    (workshop.build / "train" / "audit.html").unlink()
    assert workshop.make("audit") == ["train audit"]


TAKE_FRAMES = """
if command == ("train", "data"):
    frame = out / "films" / "robin" / "clip.mp4" / "000000000ms.jpg"
    frame.parent.mkdir(parents=True, exist_ok=True)
    frame.exists() or frame.write_text("a frame")
"""


def test_frames_of_films_that_were_removed_or_damaged_are_taken_again(workshop: Workshop) -> None:
    workshop.hook(TAKE_FRAMES)
    workshop.make("bundle")
    assert workshop.make("bundle") == []
    films = workshop.build / "train" / "films"
    frame = films / "robin" / "clip.mp4" / "000000000ms.jpg"
    for spoil in (frame.unlink, lambda: frame.write_text("b"), lambda: shutil.rmtree(films)):
        spoil()
        assert workshop.make("bundle") == ["train data"]
        assert frame.exists() and workshop.make("bundle") == []


def test_a_build_folder_that_was_moved_finds_its_frames_again(workshop: Workshop) -> None:
    workshop.hook(TAKE_FRAMES)
    workshop.make("data")
    workshop.build = workshop.build.rename(workshop.build.with_name("moved"))
    assert workshop.make("data") == ["train data"]
    assert workshop.make("data") == []


MICRO = ["train distill", "convert export", "convert verify", "convert bundle", "convert micro"]


def test_a_small_network_is_taught_and_packed_whole(workshop: Workshop) -> None:
    workshop.make("bundle")
    for count in (0, 4, 8):
        cut(workshop, "train distill", count)
        assert workshop.run("micro").returncode != 0
    workshop.hook("")
    assert workshop.make("micro") == MICRO
    assert workshop.make("micro") == []
    (workshop.build / "micro" / "train" / "labels.txt").unlink()
    assert workshop.make("micro") == MICRO
    for change in ("MICRO_SIZE=128", "MICRO_EPOCHS=1"):
        assert workshop.make("micro", change) == MICRO
        assert workshop.make("micro", change) == []


def test_a_small_network_is_taught_again_when_photos_are_cut_elsewhere(workshop: Workshop) -> None:
    workshop.make("micro")
    workshop.hook(
        "if command == ('train', 'data'):\n"
        "    (out / 'cuts.csv').write_text('other boxes')\n"
        "    made[command] = [name for name in made[command] if name != 'cuts.csv']\n"
    )
    # Boxes of test photos do not change the large network, which then keeps its date.
    done = workshop.make("micro", "FILM_FPS=2")
    assert done == ["train data", "train fit", *MICRO]


def test_other_strangers_teach_and_judge_without_another_training(workshop: Workshop) -> None:
    workshop.make("bundle")
    workshop.hook(
        "if command == ('train', 'data'):\n"
        "    (out / 'strangers.csv').write_text('others')\n"
        "    made[command] = [name for name in made[command] if name != 'strangers.csv']\n"
    )
    assert workshop.make("bundle", "FILM_FPS=2") == ["train data", "convert export", *REST]
    assert workshop.make("bundle", "FILM_FPS=2") == []
    (workshop.build / "train" / "strangers.csv").unlink()
    assert workshop.make("data", "FILM_FPS=2")[0] == "train data"


def test_steps_side_by_side_wait_for_what_they_read(workshop: Workshop) -> None:
    # `convert samples` reads what training left, not the split alone.
    workshop.hook("import time; time.sleep(0.3 if command[1] == 'fit' else 0)")
    done = workshop.make("-j4", "bundle", str(workshop.build / "samples" / "ready"))
    assert done.index("train fit") < done.index("convert samples")


@pytest.mark.parametrize("target", ["data", "audit"])
def test_settings_of_events_and_films_and_a_changed_list_split_again(
    workshop: Workshop, tmp_path: Path, target: str
) -> None:
    listed = tmp_path / "it's $HOME.csv"
    settings: list[str] = []
    workshop.make(target)
    write(listed, "path,event,place")
    given = ("EVENT_S=30", "FILM_FPS=2", "REGION=whole", "PLACE=folder", f"EVENTS={listed}")
    for setting in given:
        settings.append(setting)
        assert f"train {target}" in workshop.make(target, *settings), setting
        assert workshop.make(target, *settings) == [], setting
    write(listed, "path,event,place of another kind")
    assert f"train {target}" in workshop.make(target, *settings)
    assert workshop.make(target, *settings) == []
    listed.unlink()
    done = workshop.run(target, *settings)
    assert done.returncode == 2 and f"EVENTS={listed}: no such file" in done.stderr


def test_settings_that_make_does_not_know_are_refused_in_one_line(workshop: Workshop) -> None:
    for setting, choices in (
        ("PLACE=garden", "auto or"),
        ("PLACE=auto folder", "auto or"),
        ("REGION=box", "auto, change or"),
        ("REGION=", "auto, change or"),
        ("BACKBONE=resnet", "one of mobilenet-v2 "),
        ("BACKBONE=mobilenet-v2 efficientnet-lite0", "one of mobilenet-v2 "),
    ):
        done = workshop.run("data", setting)
        assert done.returncode == 2 and f"{setting}: give {choices}" in done.stderr


# --- code and versions ----------------------------------------------------------------------------

EDITS = {
    "train/data/augment.py": ["train data", "train fit"],
    "train/report/report.html.j2": ["train fit"],
    "convert/quantize/plan.py": ["convert export", *REST],
    "convert/targets/runtimes.json": ["convert export", *REST],
    "device/contract/preprocess.py": ["train data", "train fit", "convert export", *REST],
    "device/__init__.py": ["convert bundle"],
    "convert/targets/tolerances.json": ["convert bundle"],
    "train/bench/recipes.py": [],
    "convert/bench/quantizers.py": [],
    "device/service/supervisor.py": [],
    "device/outputs/web/sink.py": [],
    "README.md": [],
}


def test_code_that_changes_results_makes_its_step_run_again_and_no_other_does(
    workshop: Workshop, tmp_path: Path
) -> None:
    folder = project(workshop, tmp_path / "a checkout")
    photo = folder / "data" / "flower_photos" / "robin" / "1.jpg"
    write(photo)
    age(photo.parent.parent)
    # What every make asks before its first step goes on working.
    whole = {name: (ROOT / name).read_text("utf-8") for name in EDITS}
    for name, text in whole.items():
        write(folder / name, f"{text}# before\n")
    assert sorted(workshop.make("bundle")) == sorted(FIRST + REST)
    for name, again in EDITS.items():
        write(folder / name, f"{whole[name]}# after\n")
        assert workshop.make("bundle") == again, name
    assert workshop.make("bundle") == []


def test_the_field_is_judged_without_training_on_its_photos(workshop: Workshop) -> None:
    workshop.make("bundle")
    assert workshop.make("field", "DATA=photos of the cameras") == ["convert field"]
    assert workshop.make("bundle") == []


def imported(path: Path) -> Iterator[str]:
    """The project's own modules that a file imports, as paths."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            for name in (node.module, *(f"{node.module}.{alias.name}" for alias in node.names)):
                module = Path(*name.split(".")).with_suffix(".py")
                if (ROOT / module).is_file():
                    yield module.as_posix()


NO_NUMBERS = {
    *(
        f"device/{name}.py"
        for name in ("child", "commit", "console", "errors", "files", "safe_text")
    ),
    "device/contract/runtimes.py",
    *("device/contract/arrays.py", "device/quiet.py", "device/workstation/quiet.py"),
    *(
        f"device/workstation/{name}.py"
        for name in ("cuts", "photo_files", "records", "tables", "training")
    ),
    "device/workstation/events/listed.py",
    *(
        path.relative_to(ROOT).as_posix()
        for folder in ("engine", "shards")
        for path in ROOT.glob(f"device/workstation/{folder}/*.py")
    ),
    *(f"train/{name}.py" for name in ("artifacts", "errors", "memory", "stamps")),
    *("train/page/templates.py", "train/report/publish.py"),
    *("train/data/dataset.py", "train/data/split.py"),
    *(f"train/network/{name}.py" for name in ("layer_table", "temperature", "trials")),
    *("train/recipe/evaluate.py", "train/recipe/fit.py"),
    *(f"train/recipe/expected/{name}.py" for name in ("estimates", "held_out", "place_views")),
    "train/curate/features.py",
}
"""What changes no number of a network on a given split."""


@pytest.mark.parametrize(
    ("package", "stamps"),
    [("train", ("code-data", "code-train")), ("convert", ("code-convert", "code-bundle"))],
)
def test_stamps_cover_what_a_package_takes_from_the_device(
    package: str, stamps: tuple[str, ...]
) -> None:
    files = [
        path
        for path in ROOT.glob(f"{package}/**/*.py")
        if not path.relative_to(ROOT).as_posix().startswith(EXEMPT)
    ]
    patterns = [name for stamp in stamps for name in CODE[stamp] if name.startswith("device/")]
    stamped = {path.relative_to(ROOT).as_posix() for name in patterns for path in ROOT.glob(name)}
    files += [ROOT / name for name in stamped if name.endswith(".py")]
    needed = {name for path in files for name in imported(path) if name.startswith("device/")}
    assert needed - NO_NUMBERS <= stamped


@pytest.mark.parametrize("files", [FIT_CODE, CODE["code-micro"]])
def test_keys_cover_what_their_modules_import(files: tuple[str, ...]) -> None:
    paths = [path for pattern in files for path in ROOT.glob(pattern)]
    needed = {name for path in paths for name in imported(path)}
    covered = {path.relative_to(ROOT).as_posix() for path in paths} | NO_NUMBERS
    assert {name for name in needed if name.startswith(("train/", "device/"))} <= covered


def test_every_file_of_a_key_is_there() -> None:
    for name in (*FIT_CODE, *(pattern for patterns in CODE.values() for pattern in patterns)):
        assert list(ROOT.glob(name)), name
    assert all(list((ROOT / name).glob("*.py")) for name in EXEMPT)


def test_another_pillow_is_other_code(monkeypatch: pytest.MonkeyPatch) -> None:
    before = code_digest(["train/data/augment.py"])
    assert code_digest(["train/data/augment.py"]) == before
    assert "pillow" in LIBRARIES and "ai-edge-litert" in LIBRARIES
    monkeypatch.setattr("train.stamps.version", lambda name: "99")
    assert code_digest(["train/data/augment.py"]) != before


# --- names of build folders, old makes ------------------------------------------------------------


@pytest.mark.parametrize("name", ["é,1", "a+b@c^d", "sub/b_1-2.3", "./b"])
def test_a_build_folder_may_have_an_unusual_name(workshop: Workshop, name: str) -> None:
    folder = workshop.build.parent / name
    assert sorted(workshop.make("bundle", f"BUILD={folder}")) == sorted(FIRST + REST)
    assert workshop.make("bundle", f"BUILD={folder}") == []
    assert (folder / "bundle.tar").exists()


@pytest.mark.parametrize(
    "name", ["", "a b", "b ", *(f"a{c}b" for c in "$%:;|&<>()*?!=~'\"`\\#"), "-b"]
)
def test_a_build_folder_that_make_would_misread_is_refused_in_one_line(
    workshop: Workshop, name: str
) -> None:
    done = workshop.run("bundle", f"BUILD={name}")
    assert done.returncode == 2 and not done.stdout
    assert len(done.stderr.splitlines()) == 1 and "BUILD=" in done.stderr
    assert not name or not (ROOT / name).exists()
