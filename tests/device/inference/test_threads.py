"""How many threads, and ahead or in turn: what is chosen follows from measurements alone."""

import math
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.camera.frame import Frame, FrameSource
from device.contract import bundle as contract
from device.contract.arrays import Box, Pixels
from device.contract.look.looker import Looker
from device.contract.look.rules import Outcome, Region, Seen
from device.contract.preprocess import FrameResizer, Preprocessing
from device.errors import BundleError
from device.inference import loop, threads, trial
from device.inference.classifier import Classifier
from device.inference.looking import no_look
from device.inference.loop import results
from device.inference.pace import Pace
from device.inference.threads import (
    NOISE_FACTOR,
    RepeatedPhoto,
    StillCamera,
    Timing,
    Way,
    Workload,
    choose,
    compare,
    ways,
    workload_of,
)
from device.inference.trial import Trial
from device.settings.sections import CameraConfig, Config, InferenceConfig

WAYS = ways([1, 2, 3, 4])
TIMES = st.fixed_dictionaries({way: st.floats(1e-4, 10) for way in WAYS})
ENOUGH = st.one_of(st.just(0.0), st.floats(1e-4, 10))


def timings(times_s: dict[Way, float]) -> list[Timing]:
    return [Timing(way, frame_s, frame_s / 2) for way, frame_s in times_s.items()]


def clock(times_s: dict[Way, float]) -> Callable[[Way], Timing]:
    return lambda way: Timing(way, times_s[way], times_s[way] / 2)


@pytest.fixture
def quiet_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time that stands still, so that all rounds are measured."""
    monkeypatch.setattr(threads, "time", SimpleNamespace(monotonic=lambda: 0.0))


# --- the choice -----------------------------------------------------------------------------------


@given(TIMES)
def test_where_all_are_too_slow_none_is_faster_than_the_chosen(times_s: dict[Way, float]) -> None:
    chosen = choose(timings(times_s), 0.0)
    assert chosen.frame_s <= NOISE_FACTOR * min(times_s.values())


@given(TIMES, ENOUGH)
def test_a_way_that_is_fast_enough_is_chosen_if_there_is_one(
    times_s: dict[Way, float], enough_s: float
) -> None:
    chosen = choose(timings(times_s), enough_s)
    fast_enough = [way for way, frame_s in times_s.items() if frame_s <= enough_s]
    assert not fast_enough or chosen.way == min(fast_enough)


@given(TIMES, ENOUGH, st.randoms())
def test_the_order_of_measurements_chooses_nothing(
    times_s: dict[Way, float], enough_s: float, random: object
) -> None:
    shuffled = timings(times_s)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert choose(shuffled, enough_s) == choose(timings(times_s), enough_s)


@given(TIMES, ENOUGH)
def test_what_is_not_measured_would_not_have_been_chosen(
    times_s: dict[Way, float], enough_s: float
) -> None:
    measured = compare(WAYS, clock(times_s), enough_s)
    assert choose(measured, enough_s) == choose(timings(times_s), enough_s)


@pytest.mark.parametrize(
    ("frames_ms", "max_fps", "chosen"),
    [
        # Two cores: the preparing thread and the runtime's two fight over them.
        ({"1t": 17.0, "1a": 13.8, "2t": 10.0, "2a": 13.4}, 1000, Way(2, ahead=False)),
        ({"1t": 2.9, "1a": 1.9, "2t": 2.2, "2a": 1.8}, 1000, Way(2, ahead=True)),
        ({"1t": 2.9, "1a": 1.8, "2t": 2.2, "2a": 1.79}, 1000, Way(1, ahead=True)),
        # A camera's rate is met anyway: a further thread would take from the rest.
        ({"1t": 17.0, "1a": 13.8, "2t": 10.0, "2a": 13.4}, 30, Way(1, ahead=True)),
        ({"1t": 2.9, "1a": 1.8, "2t": 2.2, "2a": 1.0}, 30, Way(1, ahead=False)),
        # Or met by none.
        ({"1t": 130, "1a": 110, "2t": 70, "2a": 75, "4t": 50, "4a": 60}, 30, Way(4, ahead=False)),
    ],
)
def test_the_cheapest_way_that_keeps_up_is_chosen_or_the_fastest(
    frames_ms: dict[str, float], max_fps: float, chosen: Way
) -> None:
    times_s = {Way(int(name[0]), name[1] == "a"): ms / 1e3 for name, ms in frames_ms.items()}
    enough_s = Workload(max_fps).enough_s
    assert choose(timings(times_s), enough_s).way == chosen
    assert choose(compare([*times_s], clock(times_s), enough_s), enough_s).way == chosen


# --- measuring ------------------------------------------------------------------------------------


@pytest.mark.usefixtures("quiet_time")
def test_other_work_for_a_moment_does_not_change_the_choice() -> None:
    true_s = {Way(1, ahead=False): 0.02, Way(1, ahead=True): 0.018, Way(2, ahead=False): 0.01}
    calls: list[Way] = []

    def disturbed(way: Way) -> Timing:
        calls.append(way)
        # The best one's first burst, and each third, meets other work.
        slow = len(calls) % 3 == 0
        return Timing(way, true_s[way] * (1.4 if slow else 1), 0.001)

    assert choose(compare([*true_s], disturbed, 0.0), 0.0).way == Way(2, ahead=False)


def test_measuring_ends_in_time_however_slow_the_board(monkeypatch: pytest.MonkeyPatch) -> None:
    for burst_s in (0.1, 0.7, 3.0, 60.0):
        now_s = [0.0]
        time = SimpleNamespace(monotonic=lambda now_s=now_s: now_s[0])
        monkeypatch.setattr(threads, "time", time)

        def measure(way: Way, now_s: list[float] = now_s, burst_s: float = burst_s) -> Timing:
            now_s[0] += burst_s
            return Timing(way, burst_s / 6, burst_s / 8)

        compare(WAYS, measure, 0.0)
        first_round_s = min(threads.LIMIT_S, len(WAYS) * burst_s)
        assert now_s[0] <= max(threads.BUDGET_S, first_round_s) + 1.01 * burst_s


def test_a_cheap_way_that_is_fast_enough_ends_the_measuring() -> None:
    calls: list[Way] = []

    def measure(way: Way) -> Timing:
        calls.append(way)
        return Timing(way, 0.004, 0.003)

    compare(WAYS, measure, Workload(max_fps=30).enough_s)
    assert calls == [Way(1, ahead=False)]


@pytest.mark.parametrize("encoded", [True, False])
def test_the_real_loop_is_measured_with_frames_of_the_real_size(
    tiny_bundle: Path, encoded: bool
) -> None:
    bundle = contract.load(tiny_bundle)
    classifier = Classifier.from_bundle(bundle, threads=1)
    example = bundle.golden_arrays()["inputs"][0]
    wanted = Workload(math.inf, (800, 600) if not encoded else threads.FRAME_PX, encoded)
    jpeg = threads.camera_jpeg(example, np.random.default_rng(0)) if encoded else b""
    source = RepeatedPhoto(jpeg, bundle.preprocessing) if encoded else StillCamera(wanted.size_px)
    (result,) = results(source, classifier, limit=1, ahead=False)
    assert result.frame.picture is not None and source.live is not encoded
    height, width = result.frame.picture.shape[:2]
    assert encoded or (width, height) == wanted.size_px
    timing = threads.time_loop(classifier, Way(1, ahead=True), source)
    assert 0 < timing.invoke_s < timing.frame_s


@pytest.mark.slow
def test_the_check_in_a_child_tells_the_best_way(tiny_bundle: Path) -> None:
    bundle, config = contract.load(tiny_bundle), InferenceConfig(load_timeout_s=60)
    fastest = Trial().check(bundle, "ai-edge-litert", config, Workload(math.inf))
    assert 1 <= fastest.threads <= min(threads.MOST_THREADS, len(os.sched_getaffinity(0)))
    assert 0 < fastest.invoke_s < fastest.frame_s
    lazy = Trial().check(bundle, "ai-edge-litert", config, Workload(max_fps=0.01))
    assert (lazy.threads, lazy.ahead) == (1, False)
    asked = Trial().check(bundle, "ai-edge-litert", replace(config, threads=2), Workload(math.inf))
    assert asked.threads == 2


def test_the_chosen_way_is_the_one_that_runs(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = contract.load(tiny_bundle)
    for ahead in (False, True):
        check = trial.Check(threads=2, ahead=ahead, invoke_s=0.1, frame_s=0.2)
        monkeypatch.setattr(Trial, "check", lambda *_, check=check: check)
        model = Trial().load(bundle, InferenceConfig(runtime="ai-edge-litert"))
        assert (model.info.threads, model.ahead) == (2, ahead)


# --- what the settings let expect -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("camera", "max_fps", "expected"),
    [
        ({"source": "photos/"}, 12.0, Workload(12.0, (640, 480), encoded=True)),
        (
            {"source": "http://camera/"},
            200.0,
            Workload(200.0, (640, 480), encoded=False),
        ),
        (
            {"source": "/dev/video0", "width_px": 1280, "height_px": 720, "fps": 15.0},
            30.0,
            Workload(15.0, (1280, 720), encoded=False),
        ),
        (
            {"source": "auto", "fps": 60.0, "region": (0.25, 0.0, 0.75, 0.5)},
            30.0,
            Workload(30.0, (320, 240), encoded=False),
        ),
    ],
)
def test_rate_and_size_are_those_of_the_settings(
    camera: dict[str, object], max_fps: float, expected: Workload
) -> None:
    settings = Config(
        camera=CameraConfig(**camera),  # type: ignore[arg-type]
        inference=InferenceConfig(max_fps=max_fps),
    )
    assert workload_of(settings) == replace(expected, look="auto")


@pytest.mark.parametrize("ahead", [True, False])
@pytest.mark.parametrize("live", [True, False])
def test_in_turn_frames_are_prepared_where_they_are_classified(
    ahead: bool, live: bool, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = contract.load(tiny_bundle)
    classifier = Classifier.from_bundle(bundle, threads=1)
    jpeg = threads.camera_jpeg(bundle.golden_arrays()["inputs"][0], np.random.default_rng(0))
    source = StillCamera((64, 48)) if live else RepeatedPhoto(jpeg, bundle.preprocessing)
    where: set[str] = set()

    def prepare(self: FrameResizer, frame: Pixels, box: Box, rules: Preprocessing) -> Pixels:
        where.add(threading.current_thread().name)
        return prepared(self, frame, box, rules)

    prepared = FrameResizer.prepare_box
    monkeypatch.setattr(FrameResizer, "prepare_box", prepare)
    found = [*results(source, classifier, limit=4, ahead=ahead)]
    here = threading.current_thread().name
    assert where == {"prepare" if ahead else here} and source.live is live
    same = {result.prediction.scores.tobytes() for result in found if result.prediction}
    assert len(found) == 4 and len(same) == 1


def test_in_turn_no_frame_is_asked_for_while_the_model_is_busy(tiny_bundle: Path) -> None:
    classifier = Classifier.from_bundle(contract.load(tiny_bundle), threads=1)

    class Counted(FrameSource):
        asked = 0

        def frames(self) -> Iterator[Frame]:
            for number in range(8):
                self.asked += 1
                yield Frame(str(number), np.zeros((48, 64, 3), np.uint8), captured_s=0.0)

    source = Counted()
    for result in results(source, classifier, ahead=False):
        # Whoever takes results is still busy with this one.
        time.sleep(0.02)
        assert source.asked == result.number + 1
    assert source.asked == 8


def test_however_the_way_changes_one_thread_at_a_time_asks_and_frames_keep_their_order(
    tiny_bundle: Path,
) -> None:
    """It changes on one thread while another takes frames."""
    classifier = Classifier.from_bundle(contract.load(tiny_bundle), threads=1)
    asking, by = threading.Lock(), set()

    class Numbered(StillCamera):
        count = 0

        def poll(self, timeout_s: float) -> Frame:
            assert asking.acquire(blocking=False), "two at once"
            by.add(threading.current_thread().name)
            time.sleep(random.choice((0, 0.0005, 0.002)))
            self.count += 1
            frame = replace(super().poll(timeout_s), name=str(self.count))
            asking.release()
            return frame

    random = Random(0)
    way, stop = [True], threading.Event()

    def change() -> None:
        while not stop.wait(random.uniform(0, 0.004)):
            way[0] = not way[0]

    changing = threading.Thread(target=change)
    changing.start()
    preparer = loop.Preparer(Numbered((64, 48)), lambda: classifier, ahead=lambda: way[0])
    try:
        taken = [preparer.take(30) for _ in range(400)]
    finally:
        stop.set()
        changing.join()
        preparer.close()
    assert [int(each.frame.name) for each in taken if each] == list(range(1, 401))
    assert by == {"prepare", threading.current_thread().name}


def test_in_turn_a_low_rate_and_a_camera_that_is_gone_let_the_taking_thread_go_in_time(
    tiny_bundle: Path,
) -> None:
    """It has to tell the watchdog that it is alive."""
    classifier = Classifier.from_bundle(contract.load(tiny_bundle), threads=1)

    class Gone(StillCamera):
        def poll(self, timeout_s: float) -> Frame | None:  # type: ignore[override]
            time.sleep(timeout_s)
            return None

    for source, fps in ((StillCamera((64, 48)), 0.001), (Gone((64, 48)), 1000.0)):
        pace = Pace(fps)
        pace.wait(threading.Event())
        pace.taken()
        preparer = loop.Preparer(source, lambda: classifier, pace=pace, ahead=lambda: False)
        with pytest.raises(queue.Empty):
            preparer.take(0.3)
        preparer.close()


# --- looks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("size_px", [(640, 480), (96, 72), (40, 30)])
def test_a_rehearsed_look_finds_a_subject_and_changes_nothing(
    tiny_bundle: Path, size_px: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier = Classifier.from_bundle(contract.load(tiny_bundle), threads=1)
    seen: list[Seen] = []
    see = Looker.see

    def spy(*given: Any) -> Outcome:
        outcome = see(*given)
        seen.append(outcome.seen)
        return outcome

    monkeypatch.setattr(Looker, "see", spy)
    look = threads.rehearsed_look(classifier.look, size_px)
    (result,) = results(StillCamera(size_px), classifier, limit=1, ahead=False, look=look)
    assert seen == [Seen.SOMETHING] and result.outcome is None
    assert result.prediction is not None and 0 < result.look_s < result.prepare_s


def test_looks_are_rehearsed_only_where_frames_will_be_looked_at(tiny_bundle: Path) -> None:
    whole = contract.load(tiny_bundle)
    change = replace(whole, region=Region.CHANGE)
    for bundle, setting, looks in (
        (whole, "auto", False),
        (change, "whole", False),
        (change, "auto", True),
        (change, "change", True),
    ):
        classifier = Classifier.from_bundle(bundle, threads=1)
        assert (threads.look_for(classifier, setting, (64, 48)) is not no_look) == looks


def test_a_bundle_is_not_loaded_for_looks_that_it_was_not_trained_for(tiny_bundle: Path) -> None:
    bundle = contract.load(tiny_bundle)
    with pytest.raises(BundleError, match="trained on whole pictures"):
        Trial().load(bundle, InferenceConfig(), Workload(look="change"))
