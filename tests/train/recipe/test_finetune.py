"""Promises of fine-tuning: a resumed run is the whole run, the best is kept, events count once."""

import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pytest
from scipy.special import log_softmax

from device.workstation.weights import event_weights
from tests.support.drawn import drawn
from tests.support.single_photos import even, singles
from train.recipe.config import TrainConfig
from train.recipe.draws import Draws, Pairs
from train.recipe.finetune import FineTuner, TuningState
from train.recipe.truth import Truth

Activations = npt.NDArray[np.float16]

CLASSES, VIEWS = 3, 2
CONFIG = TrainConfig(epochs=4, views=VIEWS, batch_size=8, learning_rate=1e-2, ema_decay=0.7)


@dataclass
class Task:
    """A small problem: activations of three kinds, and a model that can learn them."""

    views: Sequence[Activations]
    labels: npt.NDArray[np.int64]
    val: Activations
    val_labels: npt.NDArray[np.int64]
    truth: Truth | None = None
    """Of the training part, if its photos do not all count the same."""
    judged: Truth | None = None
    """The same of the validation part."""
    slack: float = 0.0
    asked: Callable[[Pairs], None] = lambda pairs: None
    """Called before views are computed."""
    logged: list[int] = field(default_factory=list)

    @classmethod
    def make(cls) -> "Task":
        rng = np.random.default_rng(0)
        centres = rng.normal(0, 0.5, (CLASSES, 1, 1, 6))

        def draw(labels: npt.NDArray[np.int64]) -> Activations:
            noise = rng.normal(0, 0.6, (len(labels), 2, 2, 6))
            return (centres[labels] + noise).astype(np.float16)

        labels, val_labels = np.arange(43) % CLASSES, np.arange(30) % CLASSES
        return cls([draw(labels) for _ in range(VIEWS)], labels, draw(val_labels), val_labels)

    def tuner(self, config: TrainConfig = CONFIG) -> FineTuner:
        keras.utils.set_random_seed(5)
        x = keras.Input((2, 2, 6))
        maps = keras.layers.Conv2D(CLASSES, 1)(keras.layers.Conv2D(8, 1, activation="relu")(x))
        model = keras.Model(x, keras.layers.GlobalAveragePooling2D()(maps))
        learned, judged = (self.truth or even(self.labels)), even(self.val_labels)
        judged = self.judged or judged
        views = drawn(Draws.of(config, len(self.labels)), self.views)
        compute = views.compute

        def noted(pairs: Pairs) -> Activations:
            self.asked(pairs)
            return compute(pairs)

        views.compute = noted
        return FineTuner(model, config, views, learned, self.val, judged, self.slack)

    def run(
        self, state: Path, after: Callable[[int], None] = lambda epoch: None, **changes: Any
    ) -> tuple[FineTuner, TuningState]:
        """Train; `after` is called with each finished epoch, after it was saved or logged."""
        tuner = self.tuner(replace(CONFIG, **changes))
        save = tuner._save

        def saved(path: Path, tuned: TuningState) -> None:
            save(path, tuned)
            after(tuned.epoch)

        tuner._save = saved  # type: ignore[method-assign]
        return tuner, tuner.run(state, lambda epoch, _: self.logged.append(epoch))


@pytest.fixture
def task() -> Task:
    return Task.make()


@dataclass(frozen=True)
class Ended:
    """A run that nothing disturbed."""

    tuned: TuningState
    logits: npt.NDArray[np.float32]
    """Those of the validation part."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """The task's, which the others must equal."""
    task = Task.make()
    tuner, tuned = task.run(tmp_path_factory.mktemp("whole") / "state.npz")
    return Ended(tuned, tuner.logits(task.val))


class Killed(BaseException):
    """In place of SIGKILL, which no test survives."""


def die_after(last: int) -> Callable[[int], None]:
    def after(epoch: int) -> None:
        if epoch == last:
            raise Killed

    return after


@pytest.fixture(scope="module")
def left_by_a_kill(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The state that a run leaves which was killed after its second epoch."""
    state = tmp_path_factory.mktemp("killed") / "state.npz"
    with pytest.raises(Killed):
        Task.make().run(state, die_after(2))
    return state.read_bytes()


def same(first: TuningState, second: TuningState) -> None:
    assert first.history[1:] == second.history[1:]
    assert first.best_epoch == second.best_epoch
    for a, b in zip(first.best, second.best, strict=True):
        assert np.array_equal(a, b)


def loss(tuner: FineTuner, task: Task) -> float:
    """The validation loss of the weights that the model has now."""
    logits = tuner.logits(task.val)
    return float(-log_softmax(logits, axis=1)[np.arange(len(logits)), task.val_labels].mean())


def test_training_learns(task: Task, tmp_path: Path) -> None:
    _, tuned = task.run(tmp_path / "state.npz")
    losses = [figures.val_loss for figures in tuned.history]
    assert len(losses) == CONFIG.epochs + 1
    assert losses[tuned.best_epoch] < 0.9 * losses[0]
    assert task.logged == [1, 2, 3, 4]


def test_the_same_seed_gives_the_same_weights_and_another_does_not(
    task: Task, whole: Ended, tmp_path: Path
) -> None:
    same(whole.tuned, task.run(tmp_path / "a.npz")[1])
    _, other = task.run(tmp_path / "b.npz", seed=1)
    assert whole.tuned.history != other.history


@pytest.mark.parametrize("killed", [1, 2, 3, 4])
def test_a_run_killed_after_any_epoch_ends_as_the_whole_one(
    task: Task, whole: Ended, tmp_path: Path, killed: int
) -> None:
    with pytest.raises(Killed):
        task.run(tmp_path / "state.npz", die_after(killed))
    again, resumed = task.run(tmp_path / "state.npz")
    same(whole.tuned, resumed)
    assert sorted(task.logged) == [1, 2, 3, 4]
    assert np.array_equal(whole.logits, again.logits(task.val))


def test_a_run_killed_twice_ends_as_the_whole_one(task: Task, whole: Ended, tmp_path: Path) -> None:
    for epoch in (1, 3):
        with pytest.raises(Killed):
            task.run(tmp_path / "state.npz", die_after(epoch))
    same(whole.tuned, task.run(tmp_path / "state.npz")[1])


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 0xFF
    path.write_bytes(content)


def of_another_network(path: Path) -> None:
    with np.load(path) as saved:
        arrays = dict(saved)
    arrays["state_1"] = arrays["state_1"][:-1]
    np.savez(path, **arrays)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "cut": cut,
    "one byte": flip,
    "empty": lambda path: path.write_bytes(b""),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "no archive": lambda path: path.write_bytes(b"state"),
    "nothing in it": lambda path: np.savez(path),
    "another record": lambda path: np.savez(path, record=np.array("[]")),
    "another network": of_another_network,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_state_is_said_and_training_starts_from_the_head(
    task: Task,
    whole: Ended,
    left_by_a_kill: bytes,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    damage: str,
) -> None:
    state = tmp_path / "state.npz"
    state.write_bytes(left_by_a_kill)
    DAMAGES[damage](state)
    capsys.readouterr()
    same(whole.tuned, task.run(state)[1])
    said = capsys.readouterr().err
    assert f"{state}: damaged" in said and "starts from the head again" in said
    same(whole.tuned, task.run(state)[1])
    assert "damaged" not in capsys.readouterr().err


def test_ctrl_c_ends_the_epoch_and_leaves_the_best_in_the_model(
    task: Task, whole: Ended, tmp_path: Path
) -> None:
    handler = signal.getsignal(signal.SIGINT)

    def interrupt(epoch: int) -> None:
        if epoch == 2:
            os.kill(os.getpid(), signal.SIGINT)

    tuner, stopped = task.run(tmp_path / "state.npz", interrupt)
    assert signal.getsignal(signal.SIGINT) is handler
    assert stopped.interrupted and not whole.tuned.interrupted
    assert stopped.epoch == 2
    assert stopped.history[1:] == whole.tuned.history[1:3]
    best = stopped.history[stopped.best_epoch].val_loss
    assert loss(tuner, task) == pytest.approx(best, rel=1e-4)
    same(whole.tuned, task.run(tmp_path / "state.npz")[1])


def test_views_are_computed_when_an_epoch_needs_them(task: Task, tmp_path: Path) -> None:
    """The first two epochs draw from two views, and the next from twice as many."""
    heard: list[tuple[int, list[int]]] = []
    task.views = [*task.views] * 3
    task.asked = lambda pairs: heard.append((len(task.logged), np.unique(pairs.views).tolist()))
    task.run(tmp_path / "state.npz", views=6)
    assert heard[:3] == [(0, [0]), (0, [1]), (1, [1])]
    assert heard[3:] == [(2, [1, 2, 3]), (3, [1, 2, 3, 4, 5])]


def test_ctrl_c_while_a_view_is_computed_ends_at_once(task: Task, tmp_path: Path) -> None:
    def press(pairs: Pairs) -> None:
        if pairs.views.max() >= 2:
            os.kill(os.getpid(), signal.SIGINT)
            pytest.fail("the view was computed to its end")

    before = signal.getsignal(signal.SIGINT)
    task.views, task.asked = [*task.views] * 3, press
    tuner, tuned = task.run(tmp_path / "state.npz", views=6)
    assert tuned.interrupted and tuned.epoch == 2
    assert loss(tuner, task) == pytest.approx(tuned.history[tuned.best_epoch].val_loss)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_second_ctrl_c_is_the_usual_one(task: Task, tmp_path: Path) -> None:
    def interrupt_twice(epoch: int) -> None:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        task.run(tmp_path / "state.npz", interrupt_twice)


def test_no_epochs_leave_the_head_as_it_was(task: Task, tmp_path: Path) -> None:
    before = task.tuner().logits(task.val)
    tuner, tuned = task.run(tmp_path / "state.npz", epochs=0)
    assert tuned.best_epoch == 0 and len(tuned.history) == 1
    assert np.array_equal(tuner.logits(task.val), before)
    assert not task.logged


@pytest.mark.parametrize("learning_rate", [1e-3, 0.3, 30.0, 3000.0])
def test_the_kept_weights_are_the_best_that_were_validated(
    task: Task, tmp_path: Path, learning_rate: float
) -> None:
    """Also where training diverges, at the last rate to NaN."""
    tuner, tuned = task.run(tmp_path / "state.npz", learning_rate=learning_rate)
    best = tuned.history[tuned.best_epoch]
    assert best.val_accuracy == max(figures.val_accuracy for figures in tuned.history)
    assert np.isfinite(tuner.logits(task.val)).all()
    assert loss(tuner, task) == pytest.approx(best.val_loss, rel=1e-4)


@pytest.mark.parametrize("learning_rate", [1e-3, 0.3, 30.0, 3000.0])
def test_with_slack_the_latest_nearly_best_epoch_is_kept(
    task: Task, tmp_path: Path, learning_rate: float
) -> None:
    """Weights that diverged are not nearly as good, or NaN."""
    task.slack = 0.15
    tuner, tuned = task.run(tmp_path / "state.npz", learning_rate=learning_rate)
    finite = {i: e.val_accuracy for i, e in enumerate(tuned.history) if np.isfinite(e.val_loss)}
    good = [i for i, accuracy in finite.items() if accuracy >= max(finite.values()) - task.slack]
    # An epoch that was the best when it came may stay, however good the later ones are.
    assert tuned.best_epoch >= good[-1]
    assert np.isfinite(tuner.logits(task.val)).all()
    assert loss(tuner, task) == pytest.approx(tuned.history[tuned.best_epoch].val_loss, rel=1e-4)


def test_slack_keeps_a_later_epoch_than_the_best(task: Task, tmp_path: Path) -> None:
    task.slack = 1.0
    assert task.run(tmp_path / "state.npz")[1].best_epoch == CONFIG.epochs


@pytest.mark.parametrize("count", [1, 5, 8, 9])
def test_few_photos_make_at_least_one_step(tmp_path: Path, count: int) -> None:
    task = Task.make()
    task.labels = task.labels[:count]
    task.views = [part[:count] for part in task.views]
    _, tuned = task.run(tmp_path / "state.npz", epochs=1)
    assert np.isfinite(tuned.history[1].train_loss)


# --- events ---------------------------------------------------------------------------------------


def of_events(labels: npt.NDArray[np.int64], events: Sequence[str]) -> Truth:
    return Truth(labels, event_weights(events))


def test_photos_that_are_all_events_train_as_photos_did_before(
    task: Task, whole: Ended, tmp_path: Path
) -> None:
    task.truth = of_events(task.labels, singles(len(task.labels)))
    task.judged = of_events(task.val_labels, singles(len(task.val_labels)))
    same(whole.tuned, task.run(tmp_path / "b.npz")[1])


def test_a_wrongly_labelled_burst_teaches_no_more_than_one_photo(
    task: Task, tmp_path: Path
) -> None:
    """300 photos of one event, which contradict the 43 others."""
    burst = np.zeros(300, np.int64)
    task.views = [np.concatenate([view, view[burst]]) for view in task.views]
    task.labels = np.concatenate([task.labels, burst + 1])
    misled = task.run(tmp_path / "a.npz")[1]
    task.truth = of_events(task.labels, [*singles(43), *["burst"] * 300])
    _, tuned = task.run(tmp_path / "b.npz")
    assert tuned.best_accuracy > misled.best_accuracy + 0.1


def test_a_burst_chooses_the_epoch_like_one_of_its_photos(task: Task, tmp_path: Path) -> None:
    def judged_by(photos: list[int], events: Sequence[str], state: str) -> TuningState:
        judge = replace(task, val=task.val[photos], val_labels=task.val_labels[photos])
        judge.judged = of_events(judge.val_labels, events)
        return judge.run(tmp_path / state)[1]

    one = judged_by([*range(30)], singles(30), "a.npz")
    burst = judged_by([*range(30), *[7] * 200], [*singles(30), *[singles(30)[7]] * 200], "b.npz")
    assert burst.best_epoch == one.best_epoch
    for ours, theirs in zip(burst.history, one.history, strict=True):
        assert ours.val_accuracy == pytest.approx(theirs.val_accuracy)
        assert ours.val_loss == pytest.approx(theirs.val_loss, rel=1e-5)
