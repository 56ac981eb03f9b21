"""The simulated fleet in small: real boards, server, metrics and ramp."""

from pathlib import Path

import pytest

from device.deploy import fetch_wheels
from tests.bench.fleet import software
from tests.bench.fleet.lives import CRASHES, GOOD
from tests.bench.fleet.load import loads
from tests.bench.fleet.ramps import ramps

BOARDS = 12


@pytest.mark.slow
@pytest.mark.parametrize(
    "kinds",
    [(GOOD, CRASHES), (software.GOOD, software.SILENT)],
    ids=["model", "software"],
)
def test_a_good_release_reaches_all_boards_and_a_bad_one_stops_itself(
    kinds: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FLEET_PASSPHRASE_FILE", raising=False)
    monkeypatch.setattr(fetch_wheels, "download", fetch_wheels.download)
    good, bad = ramps(tmp_path, BOARDS, kinds)
    assert good.stages == (1, 10, 50, 100) and not good.halted
    assert good.tried == good.kept == BOARDS
    assert bad.halted and bad.stages[-1] < 100 and bad.tried < BOARDS and bad.kept == 0


def test_a_server_s_load_is_counted(tmp_path: Path) -> None:
    metadata = tmp_path / "public" / "metadata"
    metadata.mkdir(parents=True)
    for name in ("timestamp.json", "1.root.json"):
        (metadata / name).write_bytes(b"x" * 500)
    found = list(loads(tmp_path / "public", 0.2))
    assert {each.what for each in found} == {"metadata/timestamp.json", "a root that is not there"}
    assert all(each.per_s > 0 and 100 < each.wire_bytes < 2000 for each in found)
