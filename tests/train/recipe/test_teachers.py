"""Promises of teaching: a teacher answers what it sees in the pupil's views, and it is learned."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pytest
from scipy.special import log_softmax, softmax

from convert.artifacts.training import Training
from device.contract.photos import decode
from device.contract.preprocess import Preprocessing
from device.errors import FieldguideError
from device.workstation.cuts import to_csv as cuts_csv
from device.workstation.events.listed import Occasion
from device.workstation.events.listed import to_csv as events_csv
from device.workstation.faults.catalogue import frame_rules
from device.workstation.training import CUTS, EVENTS, METRICS, NETWORK, SPLIT, Part
from tests.support.builds.training_records import metrics_of
from tests.support.drawn import drawn
from tests.support.pictures import LABELS, SIZE_PX
from tests.support.single_photos import even
from train.data.augment import view
from train.data.split import Row, to_csv
from train.network.backbone import Architecture
from train.network.temperature import fold_temperature
from train.recipe.activations import Seen
from train.recipe.config import TrainConfig
from train.recipe.draws import Draws, Pairs
from train.recipe.finetune import FineTuner
from train.recipe.photos import Photos
from train.recipe.places import Exchange
from train.recipe.teachers import ANSWERS_FOLDER, ask
from train.views.robust import has_fault, with_fault

VIEWS, SEED, TEMPERATURE = 3, 4, 1.7
PHOTOS = 9
ALPHA = 0.35


def listed(training: Training) -> Photos:
    """Some photos of the tiny training part."""
    rows = [
        Row(photo.path, LABELS[photo.label], "train", photo.sha256, photo.sha256[:12], "")
        for photo in training.photos[Part.TRAIN][-PHOTOS:]
    ]
    occasions = {row.path: Occasion(row.sha256[:12], "") for row in rows}
    parts = {part: rows if part == Part.TRAIN else rows[:1] for part in Part}
    return Photos(training.files, LABELS, parts, occasions)


def write_split(photos: Photos, folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / SPLIT).write_text(to_csv(photos.rows[Part.TRAIN]))
    (folder / EVENTS).write_text(events_csv(photos.occasions))
    (folder / CUTS).write_text(cuts_csv({}))
    return folder


@pytest.fixture(scope="module")
def photos(tiny_training: Training) -> Photos:
    return listed(tiny_training)


def teacher_in(folder: Path, photos: Photos, network: Any) -> Path:
    """A finished training, whose calibration has divided the logits by `TEMPERATURE`."""
    write_split(photos, folder)
    calibrated = keras.models.clone_model(network)
    calibrated.set_weights(network.get_weights())
    fold_temperature(calibrated, TEMPERATURE)
    calibrated.save(folder / NETWORK)
    metrics = metrics_of(np.eye(len(LABELS), dtype=int).tolist(), LABELS)
    architecture = replace(metrics.config.architecture, alpha=ALPHA, size_px=SIZE_PX)
    config = replace(metrics.config, architecture=architecture)
    calibration = replace(metrics.calibration, temperature=TEMPERATURE)
    replace(metrics, config=config, calibration=calibration).write(folder / METRICS)
    return folder


@pytest.fixture
def teacher(tmp_path: Path, photos: Photos, tiny_network: Any) -> Path:
    return teacher_in(tmp_path / "teacher" / "train", photos, tiny_network)


@pytest.fixture
def pupil(tmp_path: Path, photos: Photos) -> Seen:
    """A smaller network, not yet taught; only its photos and settings are looked at."""
    config = TrainConfig(Architecture(alpha=ALPHA, size_px=64), seed=SEED, views=VIEWS)
    folder = write_split(photos, tmp_path / "build" / "train")
    return Seen(None, config, "ab" * 32, photos, Exchange(), folder, folder.parent / "cache")


def of_view(number: int) -> Pairs:
    return Pairs(np.arange(PHOTOS), np.full(PHOTOS, number), "")


@pytest.mark.parametrize("robust", [False, True])
def test_a_teacher_answers_what_it_sees_in_the_pupils_views(
    teacher: Path, pupil: Seen, tiny_network: Any, robust: bool
) -> None:
    """At its own size, before its calibration; with the faults that the pupil is shown."""
    shown = replace(pupil, config=replace(pupil.config, robust=robust))
    (answers,), rules = ask([teacher], shown).answers, Preprocessing(SIZE_PX, SIZE_PX)
    for number in range(VIEWS):
        seen = []
        for row in pupil.photos.rows[Part.TRAIN]:
            image = decode(pupil.photos.files.path(row.path).read_bytes(), rules)
            seed = int(row.sha256[:12], 16) ^ SEED
            if robust and has_fault(number):
                frame = view(image, frame_rules(rules), number, seed)
                seen.append(with_fault(frame, rules, number, seed))
            else:
                seen.append(view(image, rules, number, seed))
        wanted = tiny_network(np.stack(seen))["class_map"].numpy().mean(axis=(1, 2))
        # Activations and answers are float16.
        np.testing.assert_allclose(answers.compute(of_view(number)), wanted, atol=0.05)
        assert np.ptp(wanted, axis=0).max() > 0.5


def test_answers_are_kept_and_other_teachers_answers_are_not_taken_for_them(
    teacher: Path, pupil: Seen, photos: Photos, tiny_network: Any, tmp_path: Path
) -> None:
    kept = pupil.cache / ANSWERS_FOLDER
    taught = ask([teacher], pupil)
    first = np.array(taught.answers[0].first())
    (file,) = kept.iterdir()
    file.write_bytes(bytes(file.stat().st_size))
    again = ask([teacher], pupil)
    assert again.key == taught.key and not again.answers[0].first().any()
    fold_temperature(tiny_network, 0.5)
    try:
        other = ask([teacher_in(tmp_path / "other" / "train", photos, tiny_network)], pupil)
    finally:
        fold_temperature(tiny_network, 2.0)
    assert other.key != taught.key
    np.testing.assert_allclose(other.answers[0].first(), 2 * first, atol=0.1)
    assert file not in kept.iterdir()


@pytest.mark.parametrize("name", [SPLIT, EVENTS, CUTS])
def test_a_teacher_that_may_have_learned_from_test_photos_is_refused(
    teacher: Path, pupil: Seen, name: str
) -> None:
    with (teacher / name).open("a") as file:
        file.write("\n")
    with pytest.raises(FieldguideError, match=name) as refused:
        ask([teacher], pupil)
    assert str(teacher) in str(refused.value)


@pytest.mark.parametrize("name", [METRICS, NETWORK, SPLIT])
def test_a_teacher_that_is_not_whole_is_one_clear_line(
    teacher: Path, pupil: Seen, name: str
) -> None:
    (teacher / name).unlink()
    with pytest.raises(FieldguideError, match=name) as refused:
        ask([teacher], pupil)
    assert "\n" not in str(refused.value)


def test_without_a_teacher_nothing_is_asked(pupil: Seen) -> None:
    taught = ask([], pupil)
    assert not taught.teachers and not taught.answers
    assert not pupil.cache.exists()


# --- learning from answers ------------------------------------------------------------------------


CLASSES = 3
Floats = npt.NDArray[np.floating]


def tuner(labels: npt.NDArray[np.int64], *answers: list[Floats], **changes: Any) -> FineTuner:
    """Three kinds of activations, whatever the labels say of them; a list of views by teacher."""
    keras.utils.set_random_seed(5)
    rng = np.random.default_rng(0)
    kinds, centres = np.arange(45) % CLASSES, rng.normal(0, 0.5, (CLASSES, 1, 1, 6))
    views = [
        (centres[kinds] + rng.normal(0, 0.6, (45, 2, 2, 6))).astype(np.float16) for _ in range(2)
    ]
    x = keras.Input((2, 2, 6))
    maps = keras.layers.Conv2D(CLASSES, 1)(keras.layers.Conv2D(8, 1, activation="relu")(x))
    model = keras.Model(x, keras.layers.GlobalAveragePooling2D()(maps))
    config = TrainConfig(epochs=4, views=2, batch_size=8, learning_rate=1e-2, ema_decay=0.7)
    config = replace(config, **changes)
    draws = Draws.of(config, len(labels))
    given = (config, drawn(draws, views), even(labels), views[0], even(kinds))
    return FineTuner(model, *given, answers=[drawn(draws, each) for each in answers])


def answers_for(kinds: npt.NDArray[np.int64], views: int = 2) -> list[Floats]:
    return [(6 * np.eye(CLASSES)[kinds]).astype(np.float16)] * views


def run(tuned: FineTuner, state: Path, after: Callable[[int], None] = lambda _: None) -> Any:
    return tuned.run(state, lambda epoch, _: after(epoch))


def test_a_pupil_learns_what_only_its_teacher_knows(tmp_path: Path) -> None:
    kinds, wrong = np.arange(45) % CLASSES, (np.arange(45) + 1) % CLASSES
    settings = {"epochs": 12, "learning_rate": 3e-2}
    misled = run(tuner(wrong, **settings), tmp_path / "a.npz")
    answers = answers_for(kinds)
    taught = run(tuner(wrong, answers, teacher_share=0.9, **settings), tmp_path / "b.npz")
    assert misled.history[-1].val_accuracy < 0.1
    assert taught.history[-1].val_accuracy > 0.5


def test_several_teachers_answer_with_their_mean() -> None:
    kinds = np.arange(45) % CLASSES
    one, other = answers_for(kinds), answers_for((kinds + 1) % CLASSES)
    tuned = tuner(kinds, one, other)
    tuned._prepare_views(0)
    step = next(tuned._draws.epoch(0))
    mean = (one[0][step.photos].astype(float) + other[0][step.photos]) / 2
    np.testing.assert_allclose(tuned._logits_of_teachers(step), mean)


@pytest.mark.parametrize("share", [0.0, 0.7, 1.0])
def test_labels_and_answers_share_the_loss_and_answers_alone_are_mixed_like_the_pictures(
    share: float,
) -> None:
    kinds, n = np.arange(45) % CLASSES, 8
    settings = {"teacher_share": share, "label_smoothing": 0.1}
    tuned, rng = tuner(kinds, answers_for(kinds), **settings), np.random.default_rng(1)
    x, told = rng.normal(0, 1, (n, 2, 2, 6)), 3 * rng.normal(0, 1, (n, CLASSES))
    partner, mixed = rng.permutation(n).astype(np.int32), rng.uniform(0, 0.5, (n, 1))
    weights = rng.uniform(0.5, 1.5, n)

    def blend(of: Floats) -> Floats:
        wide = mixed.reshape(n, *[1] * (of.ndim - 1))
        return of * (1 - wide) + of[partner] * wide

    config = tuned._config
    logits = tuned._model(blend(x).astype(np.float32)).numpy().astype(np.float64)
    smooth = config.label_smoothing
    hard = np.eye(CLASSES)[kinds[:n]] * (1 - smooth) + smooth / CLASSES
    soft = blend(softmax(told / config.temperature, axis=1))
    of_labels = -(hard * log_softmax(logits, axis=1)).sum(axis=1)
    of_answers = -(soft * log_softmax(logits / config.temperature, axis=1)).sum(axis=1)
    wanted = share * config.temperature**2 * of_answers + (1 - share) * of_labels
    given = (x, kinds[:n], weights, partner, mixed.astype(np.float32), told.astype(np.float32))
    found = float(tuned._train_step(*given))
    assert found == pytest.approx(float(np.mean(weights * wanted)), rel=1e-4)


def test_a_taught_run_that_was_killed_ends_as_the_whole_one(tmp_path: Path) -> None:
    kinds = np.arange(45) % CLASSES

    class Killed(BaseException):
        pass

    def die(epoch: int) -> None:
        if epoch == 3:
            raise Killed

    whole = run(tuner(kinds, answers_for(kinds)), tmp_path / "whole.npz")
    with pytest.raises(Killed):
        run(tuner(kinds, answers_for(kinds)), tmp_path / "state.npz", die)
    resumed = run(tuner(kinds, answers_for(kinds)), tmp_path / "state.npz")
    assert resumed.history[1:] == whole.history[1:]
    for ours, theirs in zip(resumed.best, whole.best, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.slow
def test_a_network_is_taught_by_another_training_of_its_photos(
    trained: Any, tmp_path: Path
) -> None:
    from tests.support.builds.build_folder import FIT, begun, succeeded, train, weights_folder

    (tmp_path / "taught").mkdir()
    taught = begun(trained, tmp_path / "taught")
    shutil.copytree(trained.folder, tmp_path / "teacher", dirs_exist_ok=True)
    options = ("--out", taught.train, "--weights", weights_folder(), *FIT)
    succeeded(train("fit", *options, "--teacher", tmp_path / "teacher" / "train"))
    (named,) = taught.json("train/metrics.json")["teachers"]
    whole = trained.json("train/metrics.json")
    assert named["test_accuracy"] == whole["test"]["accuracy"]
    assert taught.json("train/metrics.json")["history"][1:] != whole["history"][1:]
