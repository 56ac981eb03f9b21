"""What sinks promise each other and the frame loop: nobody waits, and no change is lost."""

import dataclasses
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from device.errors import OutputError
from device.outputs.json_lines import JsonLines
from device.outputs.thread import MAX_WAITING_CHANGES, Mailbox, SinkThread
from device.settings.sections import JsonConfig
from device.telemetry.counters import Telemetry
from device.telemetry.observation import ModelInfo, Observation
from device.telemetry.status import SinkStatus, Status
from tests.support.device.visits import visit
from tests.support.timing import eventually, slowdown

MODEL = ModelInfo("tiny", ("a", "b"), "0" * 64, "no data", "ai-edge-litert", "2.3", 1, None, 0.001)
PICTURE = np.zeros((480, 640, 3), np.uint8)


def observation(number: int, *, changed: bool = False, **more: Any) -> Observation:
    scores = np.array([0.25, 0.75], np.float32)
    return Observation(
        number=number,
        unix_s=1.7e9 + number,
        monotonic_s=float(number),
        source=f"#{number}",
        scores=scores,
        smoothed=scores,
        label="b",
        score=0.75,
        top=(("b", 0.75), ("a", 0.25)),
        changed=changed,
        model=MODEL,
        invoke_s=0.004,
        overhead_s=0.001,
        latency_s=0.006,
        **more,
    )


class Recorder:
    """A sink that can be slow, hang or fail."""

    name = "recorder"
    wants_pictures = True

    def __init__(self) -> None:
        self.seen: list[Observation] = []
        self.ticks: list[Status] = []
        self.begun, self.closed = threading.Event(), threading.Event()
        self.gate = threading.Event()
        self.gate.set()
        self.fault: Exception | None = None

    def publish(self, observation: Observation) -> None:
        self.begun.set()
        self.gate.wait()
        if self.fault is not None:
            raise self.fault
        self.seen.append(observation)

    def tick(self, status: Status) -> None:
        self.ticks.append(status)

    def close(self) -> None:
        self.closed.set()


@pytest.fixture
def start() -> Iterator[Callable[[Recorder], tuple[SinkThread, Callable[[], SinkStatus]]]]:
    threads: list[SinkThread] = []

    def run(sink: Recorder) -> tuple[SinkThread, Callable[[], SinkStatus]]:
        telemetry = Telemetry()
        threads.append(SinkThread(sink, telemetry))
        return threads[-1], lambda: telemetry.snapshot().sinks[sink.name]

    yield run
    for thread in threads:
        thread.sink.gate.set()  # type: ignore[attr-defined]
        thread.start_closing()
        assert thread.join(30)


def test_a_slow_sink_sees_every_change_in_order_and_the_newest(start: Any) -> None:
    sink = Recorder()
    thread, status = start(sink)
    sink.gate.clear()
    for number in range(100):
        thread.put(observation(number, changed=number % 10 == 3))
    sink.gate.set()
    eventually(lambda: sink.seen and sink.seen[-1].number == 99)
    numbers = [o.number for o in sink.seen]
    assert [n for n in numbers if n % 10 == 3] == list(range(3, 100, 10))
    assert numbers == sorted(numbers) and len(numbers) <= 12
    assert status().dropped_total == 100 - len(numbers) and status().lost_changes_total == 0


def test_a_sink_that_hangs_never_holds_up_the_frame_loop(start: Any) -> None:
    sink = Recorder()
    thread, status = start(sink)
    sink.gate.clear()
    slowest_s = 0.0
    for number in range(MAX_WAITING_CHANGES + 50):
        started_s = time.perf_counter()
        thread.put(observation(number, changed=True))
        slowest_s = max(slowest_s, time.perf_counter() - started_s)
    assert slowest_s < 0.25 * slowdown(), "waiting for the sink would have taken for ever"
    assert 48 <= status().lost_changes_total <= 50


def test_waiting_changes_hold_one_picture_at_most() -> None:
    mailbox = Mailbox()
    for number in range(20):
        mailbox.put(observation(number, changed=True, picture=PICTURE))
    waiting = [mailbox.take(0) for _ in range(20)]
    assert [o.picture is not None for o in waiting if o] == [False] * 19 + [True]
    assert mailbox.take(0) is None


def test_what_is_older_than_a_change_is_replaced_by_it() -> None:
    mailbox = Mailbox()
    assert mailbox.put(observation(0)) == (0, 0)
    assert mailbox.put(observation(1)) == (1, 0)
    assert mailbox.put(observation(2, changed=True)) == (1, 0)
    assert mailbox.put(observation(3)) == (0, 0)
    assert [o.number for o in (mailbox.take(0), mailbox.take(0)) if o] == [2, 3]


@pytest.mark.parametrize("fault", [OSError(28, "No space left on device"), OutputError("broker")])
def test_a_change_that_could_not_be_delivered_is_tried_again(start: Any, fault: Exception) -> None:
    sink = Recorder()
    thread, status = start(sink)
    sink.fault = fault
    thread.put(observation(1, changed=True))
    eventually(lambda: status().errors_total >= 1)
    assert status().problem
    thread.put(observation(2))
    sink.fault = None
    eventually(lambda: len(sink.seen) == 2)
    assert [o.number for o in sink.seen] == [1, 2]
    assert status().problem == "" and status().delivered_total == 2


def test_a_fault_in_a_sink_is_counted_and_the_sink_goes_on(
    start: Any, caplog: pytest.LogCaptureFixture
) -> None:
    sink = Recorder()
    thread, status = start(sink)
    sink.fault = ValueError("a bug\nin two lines")
    for number in range(3):
        thread.put(observation(number, changed=True))
    eventually(lambda: status().errors_total == 3)
    assert status().problem == "a bug in two lines"
    sink.fault = None
    thread.put(observation(3))
    eventually(lambda: len(sink.seen) == 1)
    assert status().problem == ""
    assert [r.getMessage() for r in caplog.records].count(
        "output.recorder: a bug in two lines"
    ) == 1


def test_a_sink_is_ticked_also_while_nothing_comes(start: Any) -> None:
    sink = Recorder()
    start(sink)
    eventually(lambda: len(sink.ticks) >= 2)
    assert sink.ticks[-1].camera.state == "connecting"


def test_an_idle_sink_sleeps_until_its_next_tick_and_yet_closes_at_once(
    start: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[float] = []
    take = Mailbox.take
    monkeypatch.setattr("device.outputs.thread.TICK_S", 1000.0)

    def noted(mailbox: Mailbox, timeout_s: float) -> Observation | None:
        taken.append(timeout_s)
        return take(mailbox, timeout_s)

    monkeypatch.setattr(Mailbox, "take", noted)
    sink = Recorder()
    thread, _ = start(sink)
    eventually(lambda: len(taken) == 2)
    time.sleep(0.5)
    assert len(taken) == 2 and taken[-1] > 900
    thread.start_closing()
    assert thread.join(30) and sink.closed.is_set()


def test_a_sink_that_waits_to_try_again_closes_at_once(
    start: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("device.outputs.thread.RETRY_S", 1000.0)
    sink = Recorder()
    sink.fault = OSError("broken")
    thread, status = start(sink)
    thread.put(observation(1, changed=True))
    eventually(lambda: status().errors_total)
    thread.start_closing()
    assert thread.join(30) and sink.closed.is_set()


class Chooser(Recorder):
    """A sink that needs every third observation."""

    def needs(self, observation: Observation) -> bool:
        return observation.number % 3 == 0


def test_a_sink_that_chooses_gets_what_it_needs_and_is_not_woken_by_the_rest(start: Any) -> None:
    sink = Chooser()
    thread, _ = start(sink)
    for number in range(9):
        thread.put(observation(number, changed=True))
    thread.start_closing()
    assert thread.join(30)
    assert [one.number for one in sink.seen] == [0, 3, 6]


def test_closing_delivers_what_waits(start: Any) -> None:
    sink = Recorder()
    thread, _ = start(sink)
    for number in range(5):
        thread.put(observation(number, changed=True))
    thread.start_closing()
    assert thread.join(30) and sink.closed.is_set()
    assert [o.number for o in sink.seen] == list(range(5))


def test_changes_that_are_given_up_are_counted_and_told_once_at_each_end(
    start: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "fieldguide")
    sink = Recorder()
    thread, status = start(sink)
    sink.fault = OutputError("broker")
    for number in range(MAX_WAITING_CHANGES + 44):
        thread.put(observation(number, changed=True))
    eventually(lambda: "the oldest are dropped" in caplog.text)
    sink.fault = None
    eventually(lambda: "label changes were dropped" in caplog.text)
    kept, lost = len(sink.seen), status().lost_changes_total
    assert kept + lost == MAX_WAITING_CHANGES + 44 and lost >= 43
    said = [r.getMessage() for r in caplog.records]
    assert said.count(f"output.recorder: {lost} label changes were dropped") == 1
    assert sum("dropped" in line for line in said) == 2


def test_changes_that_wait_at_the_end_are_told(
    start: Any, caplog: pytest.LogCaptureFixture
) -> None:
    sink = Recorder()
    thread, _ = start(sink)
    sink.fault = OutputError("broker")
    for number in range(3):
        thread.put(observation(number, changed=True))
    thread.start_closing()
    assert thread.join(30) and sink.closed.is_set()
    assert "closed, 3 label changes undelivered" in caplog.text


def test_a_fault_of_two_methods_stands_in_the_log_once(
    start: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise OutputError("no broker")

    sink = Recorder()
    monkeypatch.setattr(sink, "tick", fail)
    monkeypatch.setattr(sink, "publish", fail)
    thread, status = start(sink)
    thread.put(observation(1, changed=True))
    eventually(lambda: status().errors_total >= 4)
    assert [r.getMessage() for r in caplog.records].count("output.recorder: no broker") == 1


def test_a_sink_that_asks_for_it_knows_whether_newer_ones_wait(start: Any) -> None:
    class Catcher(Recorder):
        catching_up = False

        def publish(self, observation: Observation) -> None:
            super().publish(observation)
            behind.append(self.catching_up)

    behind: list[bool] = []
    sink = Catcher()
    thread, _ = start(sink)
    sink.gate.clear()
    thread.put(observation(0, changed=True))
    assert sink.begun.wait(30)
    for number in range(1, 5):
        thread.put(observation(number, changed=number < 4))
    sink.gate.set()
    eventually(lambda: len(behind) == 5)
    assert behind == [False, True, True, True, False]


# --- JSON lines -----------------------------------------------------------------------------------


def test_a_line_has_exactly_the_promised_fields(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    sink = JsonLines(JsonConfig(path=str(path)))
    sink.publish(observation(7, changed=True))
    sink.close()
    assert json.loads(path.read_text()) == {
        "frame": 7,
        "source": "#7",
        "time": 1.7e9 + 7,
        "label": "b",
        "score": 0.75,
        "why": None,
        "changed": True,
        "seen": None,
        "box": None,
        "distance": None,
        "also": [],
        "top": {"b": 0.75, "a": 0.25},
        "invoke_ms": 4.0,
        "overhead_ms": 1.0,
        "latency_ms": 6.0,
        "lag_ms": 0.0,
    }


def test_a_rotated_file_is_made_anew_and_an_old_one_is_continued(tmp_path: Path) -> None:
    path, old = tmp_path / "out.jsonl", tmp_path / "out.jsonl.1"
    path.write_text('{"frame": 0}\n')
    sink = JsonLines(JsonConfig(path=str(path)))
    sink.publish(observation(1))
    path.rename(old)
    sink.tick(Telemetry().snapshot())
    sink.publish(observation(2))
    sink.close()
    assert [json.loads(line)["frame"] for line in old.read_text().splitlines()] == [0, 1]
    assert [json.loads(line)["frame"] for line in path.read_text().splitlines()] == [2]


def test_only_changes_leaves_out_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    sink = JsonLines(JsonConfig(path=str(path), only_changes=True))
    for number in range(6):
        sink.publish(observation(number, changed=number % 3 == 0))
    sink.close()
    assert [json.loads(line)["frame"] for line in path.read_text().splitlines()] == [0, 3]


@pytest.mark.parametrize("only_changes", [True, False])
def test_a_visit_that_has_ended_is_a_line_of_its_own(only_changes: bool, tmp_path: Path) -> None:
    path, ended = tmp_path / "out.jsonl", visit()
    sink = JsonLines(JsonConfig(path=str(path), only_changes=only_changes))
    going = dataclasses.replace(ended, end_unix_s=None)
    sink.publish(observation(0, visit=going, visit_changed=True))
    sink.publish(observation(1, visit=going))
    sink.publish(observation(2, visit=ended, visit_changed=True))
    sink.close()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["frame"] for line in lines if "frame" in line] == [0, 1, 2] * (not only_changes)
    assert [line for line in lines if "visit" in line] == [ended.record()] == lines[-1:]


def test_a_full_disk_is_an_error_of_that_line_alone() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    sink = JsonLines(JsonConfig(path="/dev/full"))
    for number in range(2):
        with pytest.raises(OSError, match="No space left"):
            sink.publish(observation(number))
    sink.close()


def test_observations_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        observation(0).label = "a"  # type: ignore[misc]
