"""Doctor tells whether signed releases come."""

import time
from dataclasses import replace
from pathlib import Path

import pytest

from device.doctor.finding import FAILED, OK, WARNING
from device.doctor.releases import releases
from device.settings.sections import CollectConfig, Config, OutputConfig
from device.settings.state import updates_folder
from device.settings.update import UpdateConfig
from device.telemetry.updates import STATUS_FILE, SoftwareStatus, UpdateStatus, write


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "root.json").write_text("{}")
    update = UpdateConfig(
        enabled=True, url="http://fleet/", name="birds", root=str(tmp_path / "root.json")
    )
    collect = CollectConfig(path=str(tmp_path / "collected"))
    return Config(output=OutputConfig(collect=collect), update=update)


def keep(config: Config, **told: object) -> None:
    updates_folder(config).mkdir(exist_ok=True)
    status = UpdateStatus(**{"checked_unix_s": time.time(), "verified": True, **told})  # type: ignore[arg-type]
    write(updates_folder(config) / STATUS_FILE, status)


def test_boards_that_fetch_nothing_are_well() -> None:
    (found,) = releases(Config())
    assert found.state == OK and "off" in found.found


def test_without_root_metadata_nobody_can_be_trusted(config: Config) -> None:
    Path(config.update.root).unlink()
    (found,) = releases(config)
    assert found.state == FAILED and "1.root.json" in found.fix


def test_release_and_last_check_are_told(config: Config) -> None:
    (found,) = releases(config)
    assert (found.state, found.found) == (OK, "nothing was asked yet")
    keep(config, installed=3, waits="its hours, 2:00 to 5:00")
    (found,) = releases(config)
    assert found.state == OK and found.found.startswith("release 3, asked 20")
    assert "by a time server" in found.found and "its hours" in found.found
    keep(
        config,
        software=SoftwareStatus(4, 5, waits="its files", version="0.2.0", runs="software-1a2b"),
    )
    (found,) = releases(config)
    assert "release 4, software 0.2.0 in software-1a2b; waits for its files" in found.found
    keep(config, doing="release 3 is on trial", software=SoftwareStatus(doing="release 5 is, too"))
    (found,) = releases(config)
    assert "release 3 is on trial; " in found.found and "release 5 is, too" in found.found


@pytest.mark.parametrize(
    ("told", "found_words", "fix_words"),
    [
        ({"expired": True, "problem": "timestamp is expired"}, "is expired", "time server"),
        ({"problem": "the server answers 500"}, "answers 500", "journalctl"),
        ({"frozen": True}, "three weeks", "fleet-refresh"),
        ({"unknown_group": "gardn"}, "group gardn", "GROUP=gardn"),
        ({"away": "the stick", "checked_unix_s": 0.0}, "the stick", "update.url"),
        ({"failed": ("4: the service crashed 3 times",)}, "release 4", "another"),
        (
            {"software": SoftwareStatus(problem="no room")},
            "software: no room",
            "fieldguide-software",
        ),
        ({"software": SoftwareStatus(failed=("4: a fault",))}, "software 4: a fault", "another"),
        ({"checked_unix_s": 1e9}, "nothing was asked since 2001", "timer"),
    ],
)
def test_what_needs_attention_is_a_warning_with_its_cure(
    told: dict[str, object], found_words: str, fix_words: str, config: Config
) -> None:
    keep(config, **told)
    (found,) = releases(config)
    assert found.state == WARNING
    assert found_words in found.found and fix_words in found.fix


def test_what_is_too_old_on_a_stick_must_be_copied_again(config: Config) -> None:
    update = replace(config.update, url="file:///media/fieldguide")
    keep(config, expired=True, problem="timestamp is expired")
    (found,) = releases(replace(config, update=update))
    assert found.state == WARNING and "copy the folder" in found.fix


def test_a_damaged_file_is_a_warning(config: Config) -> None:
    updates_folder(config).mkdir()
    (updates_folder(config) / STATUS_FILE).write_text("[")
    (found,) = releases(config)
    assert found.state == WARNING and "damaged" in found.found
