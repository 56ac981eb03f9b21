"""A misspelt name is refused before anything is signed, and what is new says so."""

from pathlib import Path

import pytest

from device.contract.release.rollout import Stage
from device.fleet.releases import numbers
from device.fleet.signing.folder import Fleet
from device.fleet.signing.state import read
from tests.device.fleet.conftest import Good, Run, complaint, contents
from tests.device.fleet.test_commands import offered
from tests.support.device.tiny_bundle import TAR


@pytest.fixture(autouse=True)
def settings_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `make ramp MQTT=house.toml` reads the broker from."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "house.toml").touch()


@pytest.mark.parametrize(
    ("command", "options"),
    [("halt", []), ("promote", ["--percent=70"]), ("ramp", ["--mqtt=house.toml"])],
)
def test_a_misspelt_group_is_refused_before_anything_is_signed(
    run: Run,
    good: Good,
    fleet: Path,
    command: str,
    options: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    good("promote", "--name=birds", "--percent=50")
    good("promote", "--name=birds", "--percent=60", "--group=garden", "--new")
    before = contents(fleet)
    assert run(command, "--name=birds", "--group=gardne", *options) == 1
    line = complaint(capsys)
    assert "there are all, garden (did you mean 'garden'?)" in line and "NEW=1" in line
    assert contents(fleet) == before


def test_a_new_group_may_be_halted_if_that_is_said(
    good: Good, fleet: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good("promote", "--name=birds", "--percent=50")
    good("halt", "--name=birds", "--group=garden", "--new")
    assert "garden had no stage of its own; birds goes on in GROUP=all" in capsys.readouterr().out
    assert offered(fleet, "garden") == Stage(1, 50, halted=True)
    # It is known from now on.
    good("promote", "--name=birds", "--percent=60", "--group=garden", "--resume")
    assert offered(fleet) == Stage(1, 50)


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("publish", [f"--bundle={TAR}"]),
        ("promote", ["--percent=10"]),
        ("halt", []),
        ("ramp", ["--mqtt=house.toml"]),
    ],
)
def test_a_misspelt_name_is_refused_before_anything_is_signed(
    run: Run,
    fleet: Path,
    command: str,
    options: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = contents(fleet)
    assert run(command, "--name=brids", *options) == 1
    assert "(did you mean 'birds'?)" in complaint(capsys)
    assert contents(fleet) == before


def test_another_name_begins_if_that_is_said(good: Good, fleet: Path) -> None:
    good("publish", "--name=frogs", f"--bundle={TAR}", "--new")
    assert numbers(read(Fleet(fleet)), "frogs") == [1]
