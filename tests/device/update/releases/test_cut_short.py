"""A kill or power cut at any step of fetching or installing leaves a verified bundle."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from device import child
from tests.device.update.releases.conftest import Scene
from tests.support.device.board import Files, offer
from tests.support.places import ROOT

KILLS = int(os.environ.get("FIELDGUIDE_KILLS", "20"))


@pytest.mark.slow
def test_an_updater_killed_anywhere_leaves_a_whole_bundle_and_the_next_turn_goes_on(
    scene: Scene, second: Files, tmp_path: Path
) -> None:
    """Before each change of the disk, and at `KILLS` random moments."""
    offer(scene.fleet, second, 2)
    script = "tests.support.device.cut_releases"
    done = subprocess.run(
        child.command("-m", script, str(scene.board.folder), scene.server.url, str(KILLS)),
        cwd=ROOT,
        env=child.environment(),
        capture_output=True,
        text=True,
        timeout=3600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["fetching"] > 30 and found["installing"] > 30 and found["cut"] > 0
