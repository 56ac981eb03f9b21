"""A kill at any step of installing, keeping or taking back software leaves it whole."""

import json
import subprocess

import pytest

from device import child
from tests.device.update.software.conftest import Scene
from tests.support.device.software import Software
from tests.support.places import ROOT


@pytest.mark.slow
def test_an_installation_killed_anywhere_leaves_whole_software_and_comes_to_its_end(
    scene: Scene,
) -> None:
    scene.offer(Software("2.0"), 1)
    script = "tests.support.device.cut_software"
    done = subprocess.run(
        child.command("-m", script, str(scene.board.folder), scene.server.url),
        cwd=ROOT,
        env=child.environment(),
        capture_output=True,
        text=True,
        timeout=3600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    cuts = json.loads(done.stdout)
    assert cuts["taking"] > 30 and cuts["going back"] > 10 and cuts["keeping"] > 5, cuts
