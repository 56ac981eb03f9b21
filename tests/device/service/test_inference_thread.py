"""What the frame loop promises: region, pace, one sight of settings a frame."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from device.camera.frame import Frame
from device.camera.live import LiveCapture
from device.contract.bundle import load
from device.contract.preprocess import prepare_box, prepare_frame
from device.inference.pace import Pace
from device.inference.prepared import region_box
from device.inference.trial import LoadedModel
from device.outputs.web import view
from device.service.inference_thread import InferenceThread
from device.settings.sections import CameraConfig, Config
from device.telemetry.counters import Telemetry
from tests.device.service.scenes import Asked, Collected, Fed, Scene, Start, forever, model_of
from tests.support.pictures import RULES, picture
from tests.support.timing import Stopwatch, eventually, slowdown


def test_pictures_and_maps_come_only_while_a_sink_wants_them(start: Start) -> None:
    _, sink, _, _ = start(Scene(forever(0)))
    eventually(lambda: sink.seen)
    assert sink.seen[-1].picture is None and sink.seen[-1].class_map is None
    sink.wants_pictures = True
    eventually(lambda: sink.seen[-1].picture is not None)
    last = sink.seen[-1]
    assert last.picture is not None and last.picture.shape == (120, 160, 3)
    assert last.crop_box == (20, 0, 140, 120)
    assert last.class_map is not None and last.class_map.shape[2] == 3


def test_features_come_with_pictures(model: LoadedModel, tiny_bundle: Path) -> None:
    directions = load(tiny_bundle).statistics.directions
    for wanted in (True, False):
        sink = Collected(wants_pictures=wanted)
        sinks: Any = partial(tuple[Collected], [sink])
        shared: Any = (Scene(forever(0)), model, Config(), sinks, Telemetry(), Fed(), print)
        thread = InferenceThread(*shared)
        eventually(partial(len, sink.seen))
        thread.close()
        features = sink.seen[0].features
        assert (features is not None) is wanted
        assert features is None or features.shape == (len(directions),)


def test_each_classified_frame_has_its_distance(start: Start, model: LoadedModel) -> None:
    expected = model.classifier.classify(prepare_frame(picture(0, 1, 160, 120), RULES)).distance
    _, sink, _, _ = start(Scene(forever(0)))
    eventually(lambda: sink.seen)
    assert expected and sink.seen[0].distance == expected
    assert sink.seen[0].record()["distance"] == round(expected, 4)


def test_a_sink_without_use_for_pictures_gets_none_of_another_s(model: LoadedModel) -> None:
    """It would keep them while it is slow."""
    wants, other = Collected(wants_pictures=True), Collected()
    arguments: Any = (
        Scene(forever(0)),
        model,
        Config(),
        lambda: (wants, other),
        Telemetry(),
        Fed(),
        print,
    )
    thread = InferenceThread(*arguments)
    eventually(lambda: len(other.seen) > 2)
    thread.close()
    assert all(seen.picture is not None for seen in wants.seen)
    assert all(seen.picture is None and seen.class_map is None for seen in other.seen)
    assert [seen.number for seen in other.seen] == list(range(len(other.seen)))


def test_the_region_of_interest_is_what_the_model_sees(model: LoadedModel, start: Start) -> None:
    left, right = picture(0, 1, 160, 120), picture(2, 1, 160, 120)
    both = np.concatenate([left, right], axis=1)
    config = Config(camera=CameraConfig(region=(0.5, 0.0, 1.0, 1.0)))
    _, sink, _, _ = start(Scene(iter([both] * 1000)), config)
    eventually(lambda: sink.seen)
    assert sink.seen[0].label == "blue" and sink.seen[0].crop_box == (180, 0, 300, 120)
    np.testing.assert_array_equal(
        prepare_box(both, sink.seen[0].crop_box, RULES), prepare_frame(right, RULES)
    )
    for width, height in ((1, 1), (3, 500), (640, 480)):
        for region in ((0.0, 0.0, 1.0, 1.0), (0.99, 0.99, 1.0, 1.0), (0.0, 0.4, 0.001, 0.6)):
            box = region_box(width, height, region, model.classifier)
            assert 0 <= box[0] < box[2] <= width and 0 <= box[1] < box[3] <= height


def test_a_swapped_model_takes_over_between_two_frames(start: Start, tiny_bundle: Path) -> None:
    thread, sink, _, _ = start(Scene(forever(1)))
    eventually(lambda: len(sink.seen) > 3)
    other = model_of(tiny_bundle)
    thread.swap(other)
    eventually(lambda: sink.seen[-1].model is other.info)
    models = [o.model is other.info for o in sink.seen]
    assert models == sorted(models), "never back to the old one"
    assert [o.number for o in sink.seen] == list(range(len(sink.seen)))
    assert sink.seen[models.index(True)].changed, "its labels may mean something else"


@pytest.mark.parametrize("ahead", [True, False])
def test_a_swapped_model_changes_who_asks_the_camera_and_no_frame_is_lost_or_older(
    start: Start, tiny_bundle: Path, ahead: bool
) -> None:
    camera = Asked()
    thread, sink, *_ = start(camera)
    eventually(lambda: len(sink.seen) > 3)
    thread.swap(other := model_of(tiny_bundle, ahead=ahead))
    eventually(lambda: sum(seen.model is other.info for seen in sink.seen) > 5)
    assert camera.asked_by[-1] == ("prepare" if ahead else "infer")
    assert [seen.source for seen in sink.seen] == [f"#{n}" for n in range(len(sink.seen))]


def test_a_pipeline_that_waits_for_its_camera_ends_as_soon_as_both_are_closed(
    start: Start,
) -> None:
    capture = LiveCapture(lambda: Scene(iter(())), CameraConfig(longest_wait_s=60), Telemetry())
    thread, *_ = start(capture)
    eventually(lambda: capture._telemetry.snapshot().camera.state == "lost")
    capture.close()
    assert thread.close(timeout_s=10)


def test_the_frame_rate_keeps_below_its_limit_and_follows_it() -> None:
    pace, stop = Pace(50.0), threading.Event()
    started_s = time.monotonic()
    for _ in range(11):
        pace.wait(stop)
        pace.taken()
    assert time.monotonic() - started_s >= 10 / 50
    pace.max_fps = 0.01
    threading.Timer(0.1, lambda: setattr(pace, "max_fps", 1000.0)).start()
    watch = Stopwatch()
    pace.wait(stop)
    assert watch.fair_s < 2, "not for the 100 s of the old limit"


def test_a_clock_that_jumps_disturbs_nothing_but_the_printed_time(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, sink, _, _ = start(Scene(forever(0)))
    eventually(lambda: len(sink.seen) > 3)
    monkeypatch.setattr(time, "time", lambda: 0.0)
    eventually(lambda: sink.seen[-1].unix_s < 1)
    seen = len(sink.seen)
    eventually(lambda: len(sink.seen) > seen + 3)
    assert [o.changed for o in sink.seen].count(True) == 1
    moments = [o.monotonic_s for o in sink.seen]
    assert moments == sorted(moments) and all(0 < o.latency_s < 60 for o in sink.seen)


def test_a_fault_in_the_loop_ends_the_service_instead_of_hanging_it(start: Start) -> None:
    _, _, _, ends = start(Scene(iter([np.zeros(5, np.uint8)])))
    eventually(lambda: ends)
    assert isinstance(ends[0], Exception)


def test_the_end_of_a_file_is_an_end_and_no_fault(start: Start) -> None:
    thread, sink, _, ends = start(Scene(iter([picture(0, 1)] * 3)))
    eventually(lambda: ends)
    assert ends == [None] and len(sink.seen) == 3
    assert thread._telemetry.snapshot().camera.state == "ended"


# --- the newest frame ----------------------------------------------------------------------------


def test_a_slow_model_sees_new_frames_and_none_that_waited_for_it(
    start: Start, model: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy_s, invoke, busy = 0.1 * slowdown(), model.classifier.invoke, []

    def slow() -> None:
        started_s = time.monotonic()
        time.sleep(busy_s)
        invoke()
        busy.append(time.monotonic() - started_s)

    monkeypatch.setattr(model.classifier, "invoke", slow)
    capture = LiveCapture(lambda: Scene(forever(0)), CameraConfig(), Telemetry())
    thread, sink, *_ = start(capture)
    eventually(lambda: len(sink.seen) > 14, within_s=10 + 20 * busy_s)
    thread.close()
    capture.close()
    seen = sink.seen[4:]
    # Behind a queue of one it would be two inferences and more; as many are seen all the same.
    busy_s = float(np.median(busy))
    assert float(np.median([s.latency_s for s in seen])) < 1.5 * busy_s
    apart_s = (seen[-1].monotonic_s - seen[0].monotonic_s) / (len(seen) - 1)
    assert apart_s < 1.5 * busy_s


def test_of_a_file_no_frame_is_lost(start: Start) -> None:
    scene = Scene(iter([picture(0, 1)] * 20))
    scene.live = False
    _, sink, _, ends = start(scene)
    eventually(lambda: ends)
    assert [s.source for s in sink.seen] == [f"#{n}" for n in range(20)]


def test_a_late_stream_makes_labels_late_and_says_so(start: Start) -> None:
    class Late(Scene):
        def frames(self) -> Iterator[Frame]:
            for frame in super().frames():
                yield replace(frame, captured_s=frame.captured_s - 7, lag_s=7.0)

    capture = LiveCapture(lambda: Late(forever(0)), CameraConfig(stall_timeout_s=1), Telemetry())
    _, sink, *_ = start(capture)
    eventually(lambda: len(sink.seen) > 3)
    status = capture._telemetry.snapshot().camera
    capture.close()
    record = sink.seen[-1].record()
    assert record["lag_ms"] == 7000 and record["latency_ms"] >= 7000
    assert abs(time.time() - record["time"]) >= 6.9
    assert status.lag_s == 7 and status.stalls_total == 0
    assert view.health(replace(Telemetry().snapshot(), camera=status), None)["camera"][
        "lag_s"
    ] == pytest.approx(7)


def test_frames_that_nobody_wanted_reach_no_model_and_are_no_damage(start: Start) -> None:
    class Resting(Scene):
        def frames(self) -> Iterator[Frame]:
            for number, frame in enumerate(super().frames()):
                yield frame if number % 4 == 0 else replace(frame, given=None, outdated=1)

    telemetry = Telemetry()
    capture = LiveCapture(lambda: Resting(forever(0)), CameraConfig(), telemetry)
    _, sink, *_ = start(capture)
    eventually(lambda: len(sink.seen) > 10)
    capture.close()
    status = telemetry.snapshot().camera
    assert status.corrupt_total == 0 and status.dropped_total >= 0.7 * status.frames_total > 20
    _, sink, *_ = start(Resting(forever(0)))
    eventually(lambda: len(sink.seen) > 10)
    assert all(int(observation.source[1:]) % 4 == 0 for observation in sink.seen)
