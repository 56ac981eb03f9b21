"""Boards that share a host name are told apart."""

import platform
from pathlib import Path

import pytest

from device.contract import moments, provenance
from device.telemetry import machine
from tests.device.contract.test_moments import photo


@pytest.fixture
def machine_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "machine-id"
    monkeypatch.setattr(machine, "MACHINE_ID", file)
    return file


@pytest.mark.parametrize("host", ["raspberrypi", "fieldguide", "localhost", "RaspberryPi", ""])
def test_boards_of_one_host_name_are_two_cameras_in_the_photos_that_they_save(
    host: str, machine_id: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "node", lambda: host)
    cameras = []
    for number in (1, 2, 1):
        machine_id.write_text(f"{number:032x}\n")
        record = provenance.Provenance(
            "random", "fox", {}, "2024-05-01T12:00:07+00:00", machine.board_name(), "", ""
        )
        found = moments.read(photo(record.exif("test")))
        assert found.unique
        cameras.append(found.camera)
    assert cameras[0] == cameras[2] != cameras[1] and cameras[0].startswith(host)


def test_a_board_with_a_name_of_its_own_keeps_it(
    machine_id: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "node", lambda: "garden")
    machine_id.write_text(f"{1:032x}\n")
    assert machine.board_name() == "garden"


def test_without_a_machine_id_the_host_name_is_all_there_is(
    machine_id: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "node", lambda: "raspberrypi")
    assert machine.board_name() == "raspberrypi"
