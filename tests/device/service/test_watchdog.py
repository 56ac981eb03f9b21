"""The watchdog is fed while the service works, and only then."""

import threading
import time

import pytest

from device.camera.frame import Frame
from device.camera.live import LiveCapture
from device.contract.look.rules import Outcome, Seen
from device.inference.looking import Looking
from device.inference.trial import LoadedModel
from device.settings.sections import CameraConfig
from device.telemetry.counters import Telemetry
from tests.device.service.scenes import Scene, Start, forever
from tests.support.timing import eventually, settled


@pytest.fixture
def brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that the watchdog waits for takes a fraction of its time."""
    monkeypatch.setattr("device.service.inference_thread.TAKE_TIMEOUT_S", 0.05)
    monkeypatch.setattr("device.service.inference_thread.IDLE_INFERENCE_S", 0.05)
    monkeypatch.setattr("device.service.inference_thread.CAPTURE_SILENCE_LIMIT_S", 0.4)
    monkeypatch.setattr("device.camera.live.POLL_S", 0.1)


def test_the_watchdog_is_fed_by_completed_inferences_and_starves_when_one_hangs(
    start: Start, model: LoadedModel, brisk: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()
    gate.set()
    invoke = model.classifier.invoke
    monkeypatch.setattr(model.classifier, "invoke", lambda: (gate.wait(), invoke()))
    _, sink, fed, _ = start(Scene(forever(0)))
    eventually(lambda: len(sink.seen) > 3)
    assert fed.meals >= 3
    gate.clear()
    settled(lambda: fed.meals)
    gate.set()


def test_without_a_camera_it_is_fed_only_while_someone_tries_to_get_it_back(
    start: Start, brisk: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = Scene(iter(()))
    capture = LiveCapture(lambda: silent, CameraConfig(longest_wait_s=60), Telemetry())
    _, sink, fed, _ = start(capture)
    time.sleep(1)
    meals = fed.meals
    eventually(lambda: fed.meals > meals)
    gate, stuck, poll = threading.Event(), threading.Event(), capture.poll

    def hang(timeout_s: float) -> Frame | None:
        stuck.set()
        gate.wait()
        return poll(0)

    monkeypatch.setattr(capture, "poll", hang)
    assert stuck.wait(30)
    settled(lambda: fed.meals)
    assert not sink.seen
    capture.close()
    gate.set()


def test_a_frame_every_few_minutes_does_not_starve_the_watchdog_and_a_source_that_hangs_does(
    start: Start, brisk: None
) -> None:
    gate = threading.Event()
    gate.set()
    pictures = (pixels for pixels in forever(0) if gate.wait())
    thread, sink, fed, _ = start(Scene(pictures))
    eventually(lambda: len(sink.seen) > 3)
    thread.pace.max_fps = 0.005
    seen, meals = settled(lambda: len(sink.seen)), fed.meals
    eventually(lambda: fed.meals > meals + 3)
    assert len(sink.seen) == seen
    gate.clear()
    thread.pace.max_fps = 1000.0
    settled(lambda: fed.meals)
    gate.set()


def test_damaged_pictures_alone_do_not_starve_the_watchdog_however_many(
    start: Start, brisk: None
) -> None:
    scene = Scene(iter([None] * 10**6))
    scene.live = False
    _, sink, fed, ends = start(scene)
    eventually(lambda: fed.meals > 5)
    assert not sink.seen and not ends


def test_an_empty_place_and_a_frame_every_few_minutes_do_not_starve_the_watchdog(
    start: Start, brisk: None, model: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("device.service.inference_thread.CHECK_S", 0.3)
    monkeypatch.setattr(Looking, "through", lambda *_: lambda *_: Outcome(Seen.NOTHING))
    thread, sink, fed, _ = start(Scene(forever(0)))
    eventually(lambda: len(sink.seen) > 3)
    thread.pace.max_fps = 0.005
    seen, meals = settled(lambda: len(sink.seen)), fed.meals
    eventually(lambda: fed.meals >= meals + 3)
    assert len(sink.seen) == seen
