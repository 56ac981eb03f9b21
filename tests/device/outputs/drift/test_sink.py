"""The sink that watches for change: it survives restarts, and says in one line what is wrong."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from device import clock
from device.contract.accuracy import ScoreOffset
from device.drift import kept
from device.drift.judge import LEARN_DAYS
from device.drift.monitor import FEWEST_MOMENTS, SAMPLE_S, WHOLE_DAY, Memory, Monitor
from device.drift.sample import Family
from device.errors import OutputError
from device.outputs.drift import sink as module
from device.outputs.drift.sink import Drift
from device.outputs.sink import DriftWatcher
from device.settings.sections import CameraConfig, CollectConfig, Config, OutputConfig
from device.settings.state import drift_file, drift_folder
from device.telemetry.observation import Observation
from tests.support.device.drifting import STARTED_S, live
from tests.support.device.observations import MODEL, Surroundings, nothing, sight


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(output=OutputConfig(collect=CollectConfig(path=str(tmp_path / "collected"))))


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[float], None]]:
    """Lets time pass for the sink; the clock is set."""
    moment = [1000.0]
    monkeypatch.setattr("device.outputs.drift.sink.time.monotonic", lambda: moment[0])
    monkeypatch.setattr(clock, "is_synchronized", lambda: True)

    def passes(seconds: float) -> None:
        moment[0] += seconds

    yield passes


def show(sink: Drift, observation: Observation) -> None:
    """As the service does: with a picture only if the sink wants one, and only what it needs."""
    shown = observation if sink.wants_pictures else replace(observation, picture=None)
    if sink.needs(shown):
        sink.publish(shown)


def status_of(sink: Drift) -> int:
    """How many moments it has noted."""
    assert sink._monitor is not None
    return sink._monitor.memory.today.moments


def after_days(days: int, **changes: float) -> Memory:
    monitor = Monitor(MODEL.labels)
    live(monitor, 0, LEARN_DAYS)
    live(monitor, LEARN_DAYS + 1, days, **changes)
    return monitor.memory


def test_a_moment_is_noted_every_ten_seconds_however_many_frames_come(
    config: Config, now: Callable[[float], None]
) -> None:
    sink = Drift(config)
    for number in range(100):
        show(sink, sight(number))
        now(1.0)
    assert status_of(sink) == 100 / SAMPLE_S


def test_where_nothing_is_there_the_picture_counts_and_no_answer(
    config: Config, now: Callable[[float], None]
) -> None:
    sink = Drift(config)
    for number in range(3):
        show(sink, nothing(number))
        now(SAMPLE_S)
    assert sink._monitor is not None
    today = sink._monitor.memory.today
    assert (today.moments, today.answers) == (3, 0)


def test_a_frame_without_an_answer_between_two_moments_does_not_wake_the_sink(
    config: Config, now: Callable[[float], None]
) -> None:
    sink = Drift(config)
    show(sink, sight(0))
    now(SAMPLE_S / 2)
    assert sink.needs(replace(sight(1), picture=None))
    assert not sink.needs(replace(nothing(2), picture=None))


def test_an_answer_between_two_moments_is_noted_with_the_later_one(
    config: Config, now: Callable[[float], None]
) -> None:
    sink = Drift(config)
    show(sink, nothing(0))
    now(SAMPLE_S / 2)
    show(sink, sight(1))
    now(SAMPLE_S)
    show(sink, nothing(2))
    assert sink._monitor is not None
    assert sink._monitor.memory.today.accepted == 1


def test_the_estimated_accuracy_is_by_the_offset_of_the_bundle_that_runs(
    config: Config, now: Callable[[float], None]
) -> None:
    path = drift_file(config)
    path.parent.mkdir(parents=True)
    kept.write(path, Drift(config)._owner(MODEL), after_days(LEARN_DAYS + 2))
    told = []
    own = replace(config, smoothing=replace(config.smoothing, threshold=0.5))
    for offset, settings in (
        (ScoreOffset(), config),
        (ScoreOffset(0.03), config),
        # It was not measured on what another limit accepts.
        (ScoreOffset(0.03), own),
    ):
        sink = Drift(settings)
        show(sink, sight(0, model=replace(MODEL, score_offset=offset)))
        assert sink.drift is not None and sink.drift.accuracy is not None
        told.append(sink.drift.accuracy.mean)
    assert told[1:] == pytest.approx([told[0] + 0.03, told[0]])


def test_what_is_known_goes_on_after_a_restart(
    config: Config, now: Callable[[float], None]
) -> None:
    first = Drift(config)
    for number in range(5):
        show(first, sight(number))
        now(SAMPLE_S)
    first.close()
    second = Drift(config)
    show(second, sight(0))
    assert status_of(second) == 6


def test_what_stands_is_told_once_the_model_is_known_and_nothing_before(config: Config) -> None:
    path = drift_file(config)
    path.parent.mkdir(parents=True)
    kept.write(path, Drift(config)._owner(MODEL), after_days(11, sharpness=0.4))
    sink, status = Drift(config), Surroundings().status()
    sink.tick(replace(status, model=None))
    assert sink.drift is None, "else an alarm that stands would seem to be over"
    sink.tick(status)
    assert sink.drift is not None and sink.drift.alarms == (Family.CAMERA,)


@pytest.mark.parametrize("other", ["model", "camera"])
def test_another_bundle_or_camera_begins_anew_and_says_so(
    config: Config,
    now: Callable[[float], None],
    caplog: pytest.LogCaptureFixture,
    other: str,
) -> None:
    first = Drift(config)
    show(first, sight(0))
    first.close()
    model = replace(MODEL, sha256="cd" * 32) if other == "model" else MODEL
    if other == "camera":
        config = replace(config, camera=CameraConfig(source="rtsp://other/"))
    second = Drift(config)
    show(second, sight(0, model=model))
    assert status_of(second) == 1
    assert [r.getMessage() for r in caplog.records if "another bundle or camera" in r.getMessage()]


def test_a_new_bundle_while_it_runs_begins_anew(
    config: Config, now: Callable[[float], None]
) -> None:
    sink = Drift(config)
    for number in range(3):
        show(sink, sight(number))
        now(SAMPLE_S)
    show(sink, sight(3, model=replace(MODEL, sha256="cd" * 32)))
    assert status_of(sink) == 1
    # The same bundle, loaded again.
    now(SAMPLE_S)
    show(sink, sight(4, model=replace(MODEL, sha256="cd" * 32, runtime="tflite-runtime")))
    assert status_of(sink) == 2


def test_a_file_cut_short_is_one_line_and_watching_goes_on(
    config: Config, now: Callable[[float], None], caplog: pytest.LogCaptureFixture
) -> None:
    first = Drift(config)
    show(first, sight(0))
    first.close()
    path = drift_file(config)
    path.write_bytes(path.read_bytes()[:-20])
    second = Drift(config)
    show(second, sight(0))
    assert status_of(second) == 1
    assert sum("damaged" in record.getMessage() for record in caplog.records) == 1


def test_a_disk_that_takes_nothing_is_one_line_and_watching_goes_on(
    config: Config, now: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    sink, surroundings = Drift(config), Surroundings()
    show(sink, sight(0))
    now(module.KEEP_S)
    with monkeypatch.context() as patch:
        patch.setattr(kept, "write_bytes", full)
        for _ in range(3):
            with pytest.raises(OutputError, match=r"cannot be kept in .*: No space left"):
                sink.tick(surroundings.status())
            now(1.0)
        show(sink, sight(1))
        assert status_of(sink) == 2
    now(module.RETRY_S)
    sink.tick(surroundings.status())
    assert drift_file(config).exists()


def test_a_disk_that_takes_no_picture_keeps_no_day_from_being_told(
    config: Config, now: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("device.outputs.drift.pictures.files.write_bytes", full)
    sink = Drift(config)
    day = [STARTED_S + SAMPLE_S * number for number in range(FEWEST_MOMENTS)]
    for unix_s in (*day, STARTED_S + 86400):
        show(sink, sight(0, unix_s=unix_s))
        now(SAMPLE_S)
    assert sink.drift is not None and sink.drift.learned_days == 1
    assert status_of(sink) == 1


@pytest.mark.parametrize(("colours", "lines"), [([90, 90, 90], 1), ([90, None, 0], 2), ([None], 0)])
def test_a_camera_that_shows_one_colour_from_the_first_day_is_one_line(
    config: Config,
    now: Callable[[float], None],
    caplog: pytest.LogCaptureFixture,
    colours: list[int | None],
    lines: int,
) -> None:
    sink = Drift(config)
    for day, colour in enumerate([*colours, None]):
        seen = sight(day)
        if colour is not None:
            seen = replace(seen, picture=np.full((120, 160, 3), colour, np.uint8))
        show(sink, replace(seen, unix_s=STARTED_S + 86400 * day))
        now(SAMPLE_S)
        assert sink._monitor is not None
        # As if it had been seen the whole day.
        sink._monitor.memory.today.counts[...] *= WHOLE_DAY
    told = [r.getMessage() for r in caplog.records if "one colour" in r.getMessage()]
    assert len(told) == lines and all("clean the lens" in line for line in told)


def test_pictures_that_cannot_be_kept_are_one_lasting_problem_which_names_their_folder(
    config: Config, now: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    sink, surroundings = Drift(config), Surroundings()
    with monkeypatch.context() as patch:
        patch.setattr("device.outputs.drift.pictures.files.write_bytes", full)
        for number in range(30):
            # If a moment raised and the frames after it did not, the log would repeat it.
            show(sink, sight(number))
            with pytest.raises(OutputError, match=rf"pictures .* {drift_folder(config)}: No space"):
                sink.tick(surroundings.status())
            now(1.0)
    now(SAMPLE_S)
    show(sink, sight(30))
    sink.tick(surroundings.status())


def test_two_services_that_keep_what_they_know_in_one_file_say_so(
    config: Config, now: Callable[[float], None]
) -> None:
    one, other, status = Drift(config), Drift(config), Surroundings().status()
    for sink in (one, other):
        show(sink, sight(0))
    for sink in (one, other):
        now(module.KEEP_S)
        sink.tick(status)
    now(module.KEEP_S)
    with pytest.raises(OutputError, match=r"another process .*state: .*output\.collect\.path"):
        one.tick(status)
    assert kept.read(drift_file(config), None).today.moments == 1
    now(module.KEEP_S)
    one.tick(status)


def test_all_that_is_kept_is_less_than_5_mb(config: Config, now: Callable[[float], None]) -> None:
    sink, chance = Drift(config), np.random.default_rng(0)
    for hour in range(24):
        noise = chance.integers(0, 256, (480, 640, 3), np.uint8)
        show(sink, sight(hour, unix_s=STARTED_S + 3600 * hour, picture=noise))
        now(SAMPLE_S)
    assert sink._monitor is not None
    sink._monitor.memory = after_days(LEARN_DAYS - 1)
    sink.close()
    files = [path for path in drift_folder(config).rglob("*") if path.is_file()]
    assert len(files) >= 25 and sum(path.stat().st_size for path in files) < 5_000_000


def test_an_alarm_and_its_end_are_one_line_each(
    config: Config, now: Callable[[float], None], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    sink = Drift(config)
    show(sink, sight(0))
    assert sink._monitor is not None
    for days, changes in ((11, {"sharpness": 0.4}), (15, {})):
        memory = after_days(11, sharpness=0.4)
        sink._monitor.memory = memory
        if not changes:
            live(sink._monitor, 12, days)
        sink._tell(sink._monitor)
    lines = [r.getMessage() for r in caplog.records if "camera" in r.getMessage()]
    assert len(lines) == 2
    assert "drift: camera has changed since 2026-11-" in lines[0] and "blurred" in lines[0]
    assert "clean the lens" in lines[0] and "as usual again" in lines[1]


def test_an_alarm_that_stands_is_told_again_after_a_restart(
    config: Config, now: Callable[[float], None], caplog: pytest.LogCaptureFixture
) -> None:
    first = Drift(config)
    show(first, sight(0))
    assert first._monitor is not None
    first._monitor.memory = after_days(11, sharpness=0.4)
    first.close()
    caplog.clear()
    second = Drift(config)
    for number in range(2):
        show(second, sight(number))
        now(SAMPLE_S)
    lines = [r.getMessage() for r in caplog.records if "camera" in r.getMessage()]
    assert len(lines) == 1 and "drift: camera has changed since 2026-11-" in lines[0]


def test_acknowledging_begins_anew_and_is_kept(
    config: Config, now: Callable[[float], None]
) -> None:
    sink, surroundings = Drift(config), Surroundings()
    show(sink, sight(0))
    assert sink._monitor is not None
    sink._monitor.memory = after_days(11, brightness=0.4)
    sink._tell(sink._monitor)
    assert sink.drift is not None and sink.drift.alarms == (Family.CAMERA,)
    assert isinstance(sink, DriftWatcher)
    sink.acknowledge_drift()
    sink.tick(surroundings.status())
    assert sink.drift is not None
    assert not sink.drift.alarms and not sink.drift.learned_days
    assert kept.read(drift_file(config), None).judge is None


def test_then_and_now_are_pictures_of_the_same_hour(
    config: Config, now: Callable[[float], None]
) -> None:
    sink = Drift(config)
    assert sink.drift_picture("now") is None and sink.drift_picture("then") is None
    at_ten = STARTED_S + 10 * 3600
    show(sink, sight(0, unix_s=at_ten))
    now(SAMPLE_S)
    show(sink, sight(7, label=2, unix_s=at_ten + 60))
    then, newest = sink.drift_picture("then"), sink.drift_picture("now")
    assert then and newest and then != newest
    now(SAMPLE_S)
    show(sink, sight(8, unix_s=at_ten + 3600))
    assert sink.drift_picture("then") == sink.drift_picture("now")
    assert {path.name for path in drift_folder(config).iterdir()} == {"then-10.jpg", "then-11.jpg"}
