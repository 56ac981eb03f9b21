"""What sinks are promised by who starts them: settings end those that they change, and no other."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from device.errors import ConfigError, OutputError
from device.outputs import registry, running
from device.outputs.running import RunningSinks
from device.outputs.sink import Context, Sink
from device.outputs.thread import SinkThread
from device.settings.sections import (
    CameraConfig,
    CollectConfig,
    Config,
    DriftConfig,
    JsonConfig,
    OutputConfig,
    PrometheusConfig,
    SmoothingConfig,
    VisitsConfig,
    WebConfig,
)
from device.settings.update import UpdateConfig
from device.telemetry.counters import Telemetry
from device.visits.days import Days
from device.visits.store import VisitStore
from tests.support.device.observations import sight
from tests.support.device.visits import visit

ANY_PORT = WebConfig(enabled=True, port=0)
METRICS = PrometheusConfig(enabled=True, port=0)
Start = Callable[[Config], RunningSinks]


@pytest.fixture
def start() -> Iterator[Start]:
    started: list[RunningSinks] = []

    def run(config: Config) -> RunningSinks:
        started.append(RunningSinks(config, Telemetry()))
        return started[-1]

    yield run
    for sinks in started:
        sinks.close()


def asking_for(json: JsonConfig, **more: object) -> Config:
    output = replace(OutputConfig(json=json), **more)  # type: ignore[arg-type]
    off = VisitsConfig(enabled=False)
    return Config(output=output, visits=off, drift=DriftConfig(enabled=False))


def named(threads: tuple[SinkThread, ...]) -> dict[str, Sink]:
    return {thread.sink.name: thread.sink for thread in threads}


def test_every_section_of_the_outputs_has_its_sink() -> None:
    every = {name: replace(section, enabled=True) for name, section in vars(OutputConfig()).items()}
    config = Config(output=OutputConfig(**every), update=UpdateConfig(enabled=True))
    assert list(config.sinks()) == list(registry.FACTORIES)


@pytest.mark.parametrize(
    ("enabled", "look"), [(True, "auto"), (True, "change"), (True, "whole"), (False, "auto")]
)
def test_visits_are_kept_and_drift_is_watched_unless_the_settings_say_no(
    enabled: bool, look: str, start: Start
) -> None:
    output = OutputConfig(json=JsonConfig(enabled=False))
    visits, camera = VisitsConfig(enabled=enabled), CameraConfig(look=look)
    drift = DriftConfig(enabled=enabled)
    sinks = start(Config(output=output, visits=visits, drift=drift, camera=camera))
    assert list(named(sinks.threads)) == ["visits", "drift"] * enabled


@pytest.mark.parametrize(
    ("other", "ended"),
    [
        ({"visits": VisitsConfig(enabled=False)}, True),
        ({"visits": VisitsConfig(path="{folder}/elsewhere")}, True),
        ({"visits": VisitsConfig(path="{folder}", end_s=9.0)}, False),
        ({"camera": CameraConfig(look="whole")}, False),
        ({"smoothing": SmoothingConfig(threshold=0.5)}, False),
    ],
    ids=["visits off", "another folder", "a longer end", "whole pictures", "another threshold"],
)
def test_a_visit_that_goes_on_is_left_to_the_next_start_only_where_its_end_will_be_kept(
    start: Start, tmp_path: Path, other: dict[str, VisitsConfig | CameraConfig], ended: bool
) -> None:
    output = OutputConfig(json=JsonConfig(enabled=False))
    config = Config(output=output, visits=VisitsConfig(path=str(tmp_path)))
    sinks = start(config)
    going = visit(end_unix_s=None)
    sinks.threads[0].put(replace(sight(0), visit=going, visit_changed=True))
    changes = {
        name: replace(each, path=each.path.format(folder=tmp_path))
        if isinstance(each, VisitsConfig)
        else each
        for name, each in other.items()
    }
    sinks.change(replace(config, **changes))  # type: ignore[arg-type]
    store = VisitStore(tmp_path, 10, 30.0)
    assert (store.cut_short() is None) == ended
    assert [each.id for each in Days(tmp_path).of(going.day)] == [going.id] * ended


def test_another_camera_is_watched_anew_and_ends_no_other_sink(
    start: Start, tmp_path: Path
) -> None:
    output = OutputConfig(
        json=JsonConfig(path=str(tmp_path / "a")), collect=CollectConfig(path=str(tmp_path / "b"))
    )
    config = Config(output=output, visits=VisitsConfig(enabled=False))
    sinks = start(config)
    old = named(sinks.threads)
    sinks.change(replace(config, camera=CameraConfig(source="rtsp://other/")))
    new = named(sinks.threads)
    assert new["json"] is old["json"] and new["drift"] is not old["drift"]


def test_other_settings_end_the_sinks_they_change_and_no_other(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, after = JsonConfig(path=str(tmp_path / "a")), JsonConfig(path=str(tmp_path / "b"))
    sinks = start(asking_for(before, web=ANY_PORT))
    old, told = named(sinks.threads), []
    start_closing = SinkThread.start_closing

    def watched(thread: SinkThread) -> None:
        told.append(named(sinks.threads))
        start_closing(thread)

    monkeypatch.setattr(SinkThread, "start_closing", watched)
    sinks.change(asking_for(after, web=ANY_PORT, prometheus=METRICS))
    new = named(sinks.threads)
    assert list(new) == ["web", "json", "prometheus"]
    assert new["web"] is old["web"] and new["json"] is not old["json"]
    assert told == [{"web": old["web"]}], "nothing goes to one that is being closed"


@pytest.mark.parametrize(
    "other", [{"smoothing": SmoothingConfig(threshold=0.5)}, {"output": OutputConfig(web=ANY_PORT)}]
)
def test_what_all_are_built_from_makes_all_of_them_again(
    start: Start, other: dict[str, object]
) -> None:
    config = Config(output=OutputConfig(prometheus=METRICS))
    sinks = start(config)
    old = named(sinks.threads)
    sinks.change(replace(config, **other))  # type: ignore[arg-type]
    assert all(sink not in old.values() for sink in named(sinks.threads).values())


def test_a_sink_that_cannot_be_leaves_everything_as_it_was(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Context) -> Sink:
        raise ConfigError("no such thing")

    monkeypatch.setitem(registry.FACTORIES, "prometheus", fail)
    sinks = start(asking_for(JsonConfig(path=str(tmp_path / "a"))))
    wanted = asking_for(JsonConfig(enabled=False), prometheus=METRICS)
    for _ in range(2):
        with pytest.raises(ConfigError, match="no such thing"):
            sinks.change(wanted)
        assert list(named(sinks.threads)) == ["json"]
    sinks.threads[0].put(sight(0))
    sinks.close()
    assert len((tmp_path / "a").read_text().splitlines()) == 1


def test_pictures_are_kept_by_the_sink_that_can(start: Start, tmp_path: Path) -> None:
    json = JsonConfig(enabled=False)
    with pytest.raises(OutputError, match=r"enable output\.collect"):
        start(asking_for(json)).keep(sight(0), "oak")
    collect = CollectConfig(enabled=True, path=str(tmp_path), min_free_mb=0)
    name = start(asking_for(json, collect=collect)).keep(sight(0), "oak")
    assert (tmp_path / name).is_file() and name.startswith("oak/")


def test_a_sink_that_does_not_close_is_left_behind_and_said(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(running, "CLOSE_S", 0.0)
    sinks = start(asking_for(JsonConfig(path=str(tmp_path / "a"))))
    monkeypatch.setattr(SinkThread, "join", lambda *_: False)
    assert not sinks.left_behind
    sinks.close()
    assert sinks.left_behind and "output.json: does not close; left hanging" in caplog.text
