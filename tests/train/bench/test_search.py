"""Promises of the search for recipes: no test photo is looked at, and comparisons are paired."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from convert.artifacts.training import read_training as quantizable
from device.errors import UsageError
from tests.support.builds.build_folder import Build, weights_wheel
from tests.support.cli import only_error
from train.artifacts import read_training
from train.bench import search
from train.bench.search import Difference, Judged, compared


def judged(right: list[bool], events: str) -> Judged:
    photos = [f"0 {number}.jpg" for number in range(len(right))]
    losses = [0.1 if each else 2.0 for each in right]
    return Judged(
        backbone="mobilenet-v2",
        changes=[],
        teachers=[[]],
        commit="",
        photos=photos,
        events=list(events),
        right=right,
        losses=losses,
        val_accuracy=[[0.5, 0.75, 0.5]],
        best_epochs=[1],
        processor_s=[10.0],
    )


def test_two_recipes_are_compared_photo_by_photo() -> None:
    one, other = (
        judged([True, True, False, True], "abcd"),
        judged([True, False, True, True], "abcd"),
    )
    assert "+0.00 (" in compared(one, other) and "1 photos only this one" in compared(one, other)
    assert compared(one, one).startswith("+0.00 (+0.00 to +0.00)")


def test_an_events_photos_are_taken_together() -> None:
    values = np.tile([1.0, 1.0, -1.0, -1.0], 50)
    single = Difference.of(values, [str(number) for number in range(200)])
    # Photos that are right and wrong in pairs tell half as much as photos of their own.
    pairs = Difference.of(values, [str(number // 2) for number in range(200)])
    assert single.mean == pairs.mean == 0
    assert pairs.error == pytest.approx(np.sqrt(2) * single.error)
    assert single.error == pytest.approx(1 / np.sqrt(200))


def test_recipes_that_other_photos_judged_are_not_compared() -> None:
    one = judged([True, False], "ab")
    with pytest.raises(UsageError, match="other photos"):
        compared(one, replace(one, photos=["1 0.jpg", "1 1.jpg"]))


def test_a_folder_without_a_split_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--trainings", str(tmp_path), "--out", str(tmp_path / "found.json")]
    assert search.main(given) != 0
    assert str(tmp_path) in only_error(capsys.readouterr().err)


def split_of(build: Build, folder: Path) -> Path:
    """A folder with the split of a build and nothing else."""
    folder.mkdir(parents=True)
    for name in ("split.csv", "events.csv", "cuts.csv", "data.json", "strangers.csv"):
        (folder / name).write_bytes((build.train / name).read_bytes())
    return folder


@pytest.mark.slow
def test_a_recipe_is_judged_without_test_photos_and_its_views_are_kept(
    trained: Build,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # In this order: the module is imported here, and must keep the real one for other tests.
    monkeypatch.setattr("train.recipe.fit.predict", None)
    monkeypatch.setattr("train.recipe.evaluate.predict", None)
    folder = split_of(trained, tmp_path / "one" / "train")
    out = tmp_path / "found.json"
    given = ["--trainings", str(folder), "--weights", str(weights_wheel().parent), "--size", "96"]
    given += ["--set", "epochs=1", "views=1", "--out", str(out)]
    assert search.main(given) == 0
    assert search.main([*given, "--against", str(out)]) == 0
    found = Judged(**json.loads(out.read_text("utf-8")))
    assert found.changes == ["epochs=1", "views=1"] and len(found.val_accuracy[0]) == 2
    assert len(found.right) == len(found.photos) == len(found.events) > 0
    assert "+0.00 (+0.00 to +0.00) points" in capsys.readouterr().out
    assert sorted(path.name for path in folder.parent.iterdir()) == ["cache-block_12", "train"]
    assert asdict(found)["best_epochs"][0] in (0, 1)


@pytest.mark.slow
@pytest.mark.long
def test_a_training_that_is_kept_can_be_quantized_and_can_teach(
    trained: Build, tmp_path: Path
) -> None:
    folder, kept = split_of(trained, tmp_path / "three" / "train"), tmp_path / "kept"
    given = ["--trainings", str(folder), "--seeds", "3", "--out", str(tmp_path / "found.json")]
    given += ["--weights", str(weights_wheel().parent), "--size", "96"]
    given += ["--set", "epochs=0", "views=1"]
    assert search.main([*given, "--keep", str(kept)]) == 0
    metrics, _ = read_training(kept / "3" / "train")
    assert metrics.config.seed == 3 and list((kept / "3" / "cache").glob("*.f16"))
    assert quantizable(kept / "3" / "train").metrics.config.seed == 3
    assert search.main([*given, "--teacher", str(kept / "{}" / "train")]) == 0
    found = Judged(**json.loads((tmp_path / "found.json").read_text("utf-8")))
    assert found.teachers == [[str(kept / "3" / "train")]]
    assert all(photo.startswith("3 ") for photo in found.photos)
