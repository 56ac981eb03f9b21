"""Doctor tells what has changed, from what the service has kept."""

from dataclasses import replace
from pathlib import Path

import pytest

from device.doctor.drift import drift
from device.doctor.finding import OK, WARNING
from device.drift import kept
from device.drift.judge import LEARN_DAYS
from device.drift.monitor import Monitor
from device.settings.sections import CollectConfig, Config, DriftConfig, OutputConfig, WebConfig
from device.settings.state import drift_file
from tests.support.device.drifting import CLASSES, live


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(output=OutputConfig(collect=CollectConfig(path=str(tmp_path / "collected"))))


def keep(config: Config, monitor: Monitor) -> None:
    drift_file(config).parent.mkdir()
    kept.write(drift_file(config), "of this test", monitor.memory)


def test_before_anything_is_noted_nothing_is_wrong(config: Config) -> None:
    (found,) = drift(config)
    assert (found.state, found.found) == (OK, "nothing noted yet")


def test_days_that_are_learned_are_counted(config: Config) -> None:
    monitor = Monitor(CLASSES)
    live(monitor, 0, 3)
    keep(config, monitor)
    (found,) = drift(config)
    assert (found.state, found.found) == (OK, "usual days are learned: 3 of 7")


def test_an_alarm_is_a_warning_with_its_cure(config: Config) -> None:
    monitor = Monitor(CLASSES)
    live(monitor, 0, LEARN_DAYS)
    keep(config, monitor)
    (found,) = drift(config)
    assert (found.state, found.found) == (OK, "camera and answers are as usual")
    live(monitor, LEARN_DAYS + 1, LEARN_DAYS + 4, sharpness=0.4)
    kept.write(drift_file(config), "of this test", monitor.memory)
    (found,) = drift(config)
    assert found.state == WARNING and "blurred" in found.found
    assert "clean the lens" in found.fix and "this is how it looks now" in found.fix
    assert "enable output.web" in found.fix
    shown = replace(config, output=replace(config.output, web=WebConfig(enabled=True)))
    (found,) = drift(shown)
    assert "on the web page" in found.fix and "enable" not in found.fix


def test_a_damaged_file_is_a_warning(config: Config) -> None:
    keep(config, Monitor(CLASSES))
    path = drift_file(config)
    path.write_bytes(path.read_bytes()[:100])
    (found,) = drift(config)
    assert found.state == WARNING and "damaged" in found.found


def test_where_it_is_off_it_says_so(config: Config) -> None:
    (found,) = drift(replace(config, drift=DriftConfig(enabled=False)))
    assert found.state == OK and "off" in found.found
