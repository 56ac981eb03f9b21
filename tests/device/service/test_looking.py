"""What the frame loop promises where it looks at frames before it classifies them."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from device.camera.frame import Frame
from device.contract import bundle as contract
from device.contract.look.rules import Outcome, Region, Seen
from device.contract.preprocess import prepare_box, prepare_frame
from device.errors import BundleError
from device.inference import looking
from device.inference.answers import Answers
from device.inference.classifier import Classifier, Prediction
from device.inference.looking import Looking
from device.inference.prepared import Result
from device.inference.trial import LoadedModel
from device.settings.sections import CameraConfig, Config, InferenceConfig, SmoothingConfig
from device.telemetry.observation import NOTHING, UNKNOWN, Observation
from tests.bench.look.judge import overlap
from tests.device.service.scenes import Filmed, Scene, Start, model_of
from tests.support.films import Film, Shot, Visit, shots
from tests.support.pictures import RULES
from tests.support.timing import eventually

VISITED = Film(36, visits=(Visit(16, 26, 0.5),), fps=4)


@pytest.fixture
def visited() -> list[Shot]:
    return [*shots(VISITED)]


@pytest.fixture(params=[True, False], ids=["ahead", "in turn"])
def model(looks: Path, request: pytest.FixtureRequest) -> LoadedModel:
    return model_of(looks, ahead=request.param)


def spied(model: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the model gets from now on."""
    inputs: list[Any] = []
    set_input: Callable[..., None] = model.classifier.set_input

    def spy(pixels: Any) -> None:
        inputs.append(pixels)
        set_input(pixels)

    monkeypatch.setattr(model.classifier, "set_input", spy)
    return inputs


def at_s(seen: Observation) -> float:
    return int(seen.source[1:]) / 1000


def test_what_is_there_is_cut_out_and_nothing_runs_no_inference(
    model: LoadedModel, start: Start, visited: list[Shot], monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = spied(model, monkeypatch)
    _, sink, _, ends = start(Filmed(visited))
    eventually(lambda: ends)
    assert [seen.number for seen in sink.seen] == list(range(len(visited)))
    by_seen: dict[Any, list[Observation]] = {}
    for seen in sink.seen:
        by_seen.setdefault(seen.seen, []).append(seen)
    assert set(by_seen) == {Seen.LEARNING, Seen.NOTHING, Seen.SOMETHING}
    classified = by_seen[Seen.LEARNING] + by_seen[Seen.SOMETHING]
    assert len(inputs) == len(classified)
    for shot, seen in zip(visited, sink.seen, strict=True):
        if seen.seen is Seen.SOMETHING:
            expected = prepare_box(shot.pixels, seen.crop_box, RULES)
            assert any(np.array_equal(expected, given) for given in inputs)
    resting = [(s, o) for s, o in zip(visited, sink.seen, strict=True) if 18 <= at_s(o) < 24]
    assert all(overlap(o.crop_box, s.boxes[0]) > 0.5 for s, o in resting)
    assert all(np.array_equal(o.crop_box, (24, 0, 168, 144)) for o in by_seen[Seen.LEARNING])


def test_nothing_is_an_answer_of_its_own(
    model: LoadedModel, start: Start, visited: list[Shot]
) -> None:
    _, sink, _, ends = start(Filmed(visited))
    eventually(lambda: ends)
    empty = next(seen for seen in sink.seen if at_s(seen) >= 12)
    assert (empty.label, empty.score, empty.top) == (NOTHING, 0.0, ())
    assert not empty.scores.any() and not empty.smoothed.any()
    record = empty.record()
    assert (record["seen"], record["box"]) == ("nothing", None)
    resting = next(seen for seen in sink.seen if at_s(seen) >= 20)
    assert resting.label in (*model.info.labels, UNKNOWN) and resting.score > 0 and resting.top
    record = resting.record()
    assert (record["seen"], record["box"]) == ("something", [*resting.crop_box])
    changes = [(seen.label == NOTHING, at_s(seen)) for seen in sink.seen if seen.changed]
    to_nothing = [second for is_nothing, second in changes if is_nothing]
    assert 10 <= to_nothing[0] < 11 and 24 < to_nothing[1] < 28 and len(to_nothing) == 2


def test_in_the_middle_of_a_visit_a_missed_frame_changes_nothing(
    model: LoadedModel, start: Start, visited: list[Shot]
) -> None:
    missed = visited[4 * 20]
    visited[4 * 20] = replace(missed, pixels=visited[4 * 13].pixels)
    _, sink, _, ends = start(Filmed(visited))
    eventually(lambda: ends)
    before, seen = sink.seen[4 * 20 - 1 : 4 * 20 + 1]
    assert seen.seen is Seen.NOTHING and seen.label == before.label != NOTHING
    assert (seen.score, seen.top, seen.changed) == (before.score, before.top, False)


def test_a_film_seen_whole_gives_what_it_always_gave(
    tiny_bundle: Path, looks: Path, start: Start, visited: list[Shot]
) -> None:
    """Whether the bundle or the settings say so: the same bytes, the same values."""

    def records(path: Path, config: Config) -> Iterator[dict[str, Any]]:
        model, kept = model_of(path), []
        given: list[Any] = []
        with pytest.MonkeyPatch.context() as patch:
            given = spied(model, patch)
            _, sink, _, ends = start(Filmed(visited), config, model=model)
            eventually(lambda: ends)
            kept = sink.seen
        expected = [prepare_frame(shot.pixels, RULES) for shot in visited]
        assert all(map(np.array_equal, given, expected)) and len(given) == len(expected)
        timed = {"time", "invoke_ms", "overhead_ms", "latency_ms"}
        for seen in kept:
            yield {k: v for k, v in seen.record().items() if k not in timed}

    plain = [*records(tiny_bundle, Config())]
    assert [*records(looks, Config(camera=CameraConfig(look="whole")))] == plain
    assert all(record["seen"] is None and record["box"] is None for record in plain)
    assert NOTHING not in {record["label"] for record in plain}


def test_while_nothing_is_there_the_model_still_proves_now_and_then_that_it_works(
    model: LoadedModel, start: Start, visited: list[Shot], monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = visited[: 4 * 15]
    last = empty[-1]

    def frames() -> Iterator[Shot]:
        yield from empty
        for number in range(10_000):
            time.sleep(0.001)
            yield replace(last, at_ms=last.at_ms + number)

    monkeypatch.setattr("device.inference.loop.CHECK_S", 0.2)
    inputs = spied(model, monkeypatch)
    _, sink, fed, _ = start(Filmed(frames()))
    eventually(lambda: len(sink.seen) > len(empty))
    before, inputs_before, frames_before = fed.meals, len(inputs), len(sink.seen)
    eventually(lambda: fed.meals >= before + 3)
    taken = len(sink.seen) - frames_before
    assert {seen.seen for seen in sink.seen[frames_before:]} == {Seen.NOTHING}
    assert {seen.label for seen in sink.seen[frames_before:]} == {NOTHING}
    assert len(inputs) - inputs_before == fed.meals - before < taken / 4


def test_of_two_subjects_both_are_classified_where_the_settings_say_so(
    model: LoadedModel, start: Start
) -> None:
    two = (Visit(12, 28, 0.4, at=(0.2, 0.5)), Visit(12, 28, 0.3, at=(0.8, 0.5), seed=3))
    film = [*shots(Film(22, visits=two))]
    config = Config(camera=CameraConfig(most_subjects=2))
    _, sink, _, ends = start(Filmed(film), config)
    eventually(lambda: ends)
    shot, seen = film[-5], sink.seen[-5]
    (other,) = seen.also
    for box in (seen.crop_box, other.box):
        classes = model.classifier.classify(prepare_box(shot.pixels, box, RULES))
        expected = seen.scores.max() if box == seen.crop_box else other.score
        assert classes.score == pytest.approx(expected)
    assert other.label in model.info.labels and other.box != seen.crop_box
    assert seen.record()["also"] == [other.record()]
    assert all(not one.also for one in sink.seen if one.seen is not Seen.SOMETHING)


@pytest.mark.parametrize(
    ("seen", "label"), [(Seen.LIGHT, "unknown"), (Seen.MOVED, "unknown"), (Seen.NOTHING, NOTHING)]
)
def test_light_and_moves_are_no_answer_and_leave_the_label_of_before(
    model: LoadedModel, seen: Seen, label: str
) -> None:
    answers, config = Answers(), SmoothingConfig(time_constant_s=0)

    def result(seen: Seen, at_s: float, scores: tuple[float, ...] | None) -> Result:
        prediction = scores and Prediction(model.info.labels, np.array(scores, np.float32))
        frame = Frame("#", np.zeros((9, 9, 3), np.uint8), captured_s=at_s)
        return Result(0, frame, prediction or None, model.classifier, Outcome(seen))

    first = answers.next(result(seen, 0.0, None), model.info, config)
    assert (first.label, first.score, first.top, first.changed) == (label, 0.0, (), True)
    there = answers.next(result(Seen.SOMETHING, 1.0, (0.1, 0.8, 0.1)), model.info, config)
    assert there.label == "green" and there.changed
    after = answers.next(result(seen, 2.0, None), model.info, config)
    if seen is Seen.NOTHING:
        assert after.label == NOTHING and after.changed
    else:
        assert after == replace(there, changed=False)
    again = answers.next(result(Seen.SOMETHING, 3.0, (0.1, 0.8, 0.1)), model.info, config)
    assert again.label == "green" and again.changed == (seen is Seen.NOTHING)


def test_after_nothing_smoothing_begins_from_the_beginning(
    model: LoadedModel, start: Start, visited: list[Shot]
) -> None:
    """What came before has left, and says nothing about what comes now."""
    _, sink, _, ends = start(Filmed([*visited, *_later(visited[4 * 10 :], 26_000)]))
    eventually(lambda: ends)
    labelled = [s for s in sink.seen if s.label != NOTHING and at_s(s) > 11 and s.changed]
    first, again = labelled[0], next(s for s in labelled if at_s(s) > 36)
    np.testing.assert_allclose(first.smoothed, again.smoothed, atol=0.05)


def _later(frames: list[Shot], by_ms: int) -> list[Shot]:
    return [replace(shot, at_ms=shot.at_ms + by_ms) for shot in frames]


class Live(Filmed):
    """The same frames, as a camera gives them."""

    live = True

    def frames(self) -> Iterator[Frame]:
        for frame in super().frames():
            yield replace(frame, captured_s=time.monotonic())


def test_while_nothing_is_there_a_camera_is_asked_for_fewer_frames_and_a_film_is_not(
    model: LoadedModel, start: Start, visited: list[Shot], monkeypatch: pytest.MonkeyPatch
) -> None:
    empty, there = Outcome(Seen.NOTHING), Outcome(Seen.SOMETHING, ((0, 0, 50, 50),))
    shown = [empty]
    monkeypatch.setattr(Looking, "through", lambda *_: lambda *_: shown[0])
    config = Config(
        inference=InferenceConfig(rest_fps=2.0), smoothing=SmoothingConfig(time_constant_s=0)
    )
    thread, sink, *_ = start(Live(cycle(visited)), config)
    eventually(lambda: len(sink.seen) == 5)
    assert thread.pace.rest_fps == 2.0 and thread.pace.max_fps == 1000
    shown[0] = there
    eventually(lambda: len(sink.seen) > 20, within_s=5)
    assert thread.pace.rest_fps == float("inf")
    gaps_s = np.diff([seen.monotonic_s for seen in sink.seen])
    assert min(gaps_s[2:4]) > 0.4, "as few as the settings say, but for those already asked for"
    shown[0] = empty
    # Both would run inside one interpreter.
    assert thread.close(5)
    film, other, _, ends = start(Filmed(visited), config)
    eventually(lambda: ends)
    assert ends == [None], ends
    assert film.pace.rest_fps == float("inf")
    assert {seen.label for seen in other.seen} == {NOTHING}


def test_settings_may_not_ask_a_bundle_for_what_it_was_not_trained_for() -> None:
    with pytest.raises(BundleError, match="trained on whole pictures"):
        looking.check("change", Region.WHOLE)
    for setting, trained in (("auto", Region.WHOLE), ("whole", Region.WHOLE)):
        looking.check(setting, trained)
    for setting in ("auto", "change", "whole"):
        looking.check(setting, Region.CHANGE)


def test_a_classifier_knows_what_its_bundle_was_trained_for(looks: Path, tiny_bundle: Path) -> None:
    assert Classifier.from_bundle(contract.load(looks)).region is Region.CHANGE
    assert Classifier.from_bundle(contract.load(tiny_bundle)).region is Region.WHOLE
    assert Scene(iter(())).one_place
