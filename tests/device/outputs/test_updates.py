"""What the service tells the updater of itself, and takes from it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from device import clock
from device.outputs.updates import Updates
from device.telemetry.status import BoardStatus, CameraState, Status
from device.telemetry.updates import (
    HEALTH_FILE,
    STATUS_FILE,
    WANTED_FILE,
    Health,
    UpdateStatus,
    read,
    running_software,
    write,
)
from tests.support.device.observations import MODEL, Surroundings, sight


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "updates"


@pytest.fixture
def now_s(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """The monotonic clock, which a test turns."""
    now = [1000.0]
    monkeypatch.setattr("device.outputs.updates.time.monotonic", lambda: now[0])
    yield now


def status(**more: object) -> Status:
    surroundings = Surroundings()
    surroundings.telemetry.camera.streams()
    return replace(surroundings.status(), **{"model": MODEL, **more})  # type: ignore[arg-type]


def told(folder: Path) -> Health:
    return read(Health, folder / HEALTH_FILE)


def test_answers_are_counted_once_and_nothing_is_none(folder: Path) -> None:
    sink = Updates(folder)
    sink.tick(status())
    seen = [sight(0, 0, changed=True), sight(1, 0), sight(2, None, changed=True)]
    for observation in seen:
        if sink.needs(observation):
            sink.publish(observation)
    sink.close()
    assert (told(folder).answers, told(folder).unknown) == (2, 1)


def test_time_and_heat_are_counted_by_model(folder: Path, now_s: list[float]) -> None:
    sink = Updates(folder)
    sink.tick(status())
    for slowed in (True, True, False):
        now_s[0] += 100
        sink.tick(status(board=BoardStatus(slowed=slowed)))
    sink.close()
    found = told(folder)
    assert (found.running_s, found.slowed_s, found.served_s) == (300.0, 200.0, 300.0)
    other = replace(MODEL, sha256="cd" * 32)
    sink = Updates(folder)
    now_s[0] += 50
    sink.tick(status(model=other))
    sink.close()
    found = told(folder)
    assert (found.model_sha256, found.running_s, found.served_s) == ("cd" * 32, 50.0, 350.0)


def test_only_an_end_without_closing_is_a_crash(folder: Path) -> None:
    Updates(folder).close()
    Updates(folder).close()
    assert told(folder).crashes == 0
    Updates(folder)
    assert told(folder).open
    Updates(folder)
    Updates(folder).close()
    assert told(folder).crashes == 2 and not told(folder).open


def test_a_power_cut_is_no_crash(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for start in ("first", "second", "third"):
        monkeypatch.setattr(clock, "boot_id", lambda start=start: start)
        Updates(folder)
        assert told(folder).crashes == 0
    Updates(folder)
    assert told(folder).crashes == 1


def test_what_matters_is_told_at_once_and_the_rest_now_and_then(
    folder: Path, now_s: list[float]
) -> None:
    sink = Updates(folder)
    sink.tick(status())
    assert told(folder).streaming and told(folder).model_sha256 == MODEL.sha256
    now_s[0] += 10
    sink.tick(status())
    assert told(folder).served_s == 0.0
    sink.tick(status(model_problem="self-test failed"))
    assert told(folder).problem == "self-test failed"
    lost = replace(status().camera, state=CameraState.LOST)
    sink.tick(status(camera=lost))
    assert not told(folder).streaming
    now_s[0] += 301
    sink.tick(status(camera=lost))
    assert told(folder).served_s == 311.0


def test_what_the_updater_tells_is_told_on(folder: Path) -> None:
    sink = Updates(folder)
    assert sink.update == UpdateStatus()
    write(folder / STATUS_FILE, UpdateStatus(source="http://fleet/", installed=3))
    sink.tick(status())
    assert sink.update.installed == 3


def test_a_wish_is_a_file_for_the_updater(folder: Path) -> None:
    Updates(folder).install_update()
    assert (folder / WANTED_FILE).exists()


def test_damaged_health_begins_again(folder: Path) -> None:
    folder.mkdir()
    (folder / HEALTH_FILE).write_text("{")
    Updates(folder).close()
    assert told(folder) == Health(boot=clock.boot_id(), software=running_software())
