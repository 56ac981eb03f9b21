"""What `device.telemetry.board` promises: heat and throttling, as the board's files tell."""

from pathlib import Path

import pytest

from device.telemetry.board import BoardSensors, explain, must_slow


def test_the_rate_drops_while_the_firmware_throttles_or_the_soc_is_hot() -> None:
    assert not must_slow(60.0, 0, 80.0, slowed=False)
    assert must_slow(80.0, 0, 80.0, slowed=False)
    assert must_slow(None, 0x4, 80.0, slowed=False)
    assert must_slow(40.0, 0x50001, 80.0, slowed=False)
    assert not must_slow(40.0, 0x50000, 80.0, slowed=True), "once since boot is not now"
    assert must_slow(76.0, 0, 80.0, slowed=True), "not at once back"
    assert not must_slow(74.9, 0, 80.0, slowed=True)
    assert not must_slow(None, None, 80.0, slowed=False)


def test_the_board_is_read_from_its_files(tmp_path: Path) -> None:
    for zone, value in (("thermal_zone0", "48312\n"), ("thermal_zone1", "51000\n")):
        (tmp_path / zone).mkdir()
        (tmp_path / zone / "temp").write_text(value)
    (tmp_path / "throttled").write_text("50005\n")
    board = BoardSensors(tmp_path, tmp_path / "throttled")
    assert board.temperature_c() == 51.0 and board.throttled() == 0x50005
    assert explain(0x50005) == [
        "under-voltage",
        "throttled",
        "under-voltage since boot",
        "throttled since boot",
    ]
    (tmp_path / "thermal_zone1" / "temp").write_text("")
    assert board.temperature_c() == pytest.approx(48.312)
    nothing = BoardSensors(tmp_path / "none", tmp_path / "none")
    assert nothing.temperature_c() is None and nothing.throttled() is None


def test_vcgencmd_is_asked_where_the_file_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = tmp_path / "vcgencmd"
    command.write_text("#!/bin/sh\necho throttled=0x20002\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert BoardSensors(tmp_path, tmp_path / "none").throttled() == 0x20002
