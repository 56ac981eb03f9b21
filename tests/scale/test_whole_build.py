"""The promise of `ENGINE=ray`: one commit and the same photos give the same bundle, to the byte."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.scale.pictures import render
from tests.scale.conftest import Nodes
from tests.support.builds.build_folder import weights_folder
from tests.support.builds.workshop import environment
from tests.support.places import ROOT

PHOTOS = 200
SETTINGS = ("EPOCHS=1", "VIEWS=1", "SIZE=96", "FAULTS=none", "ALLOW_REGRESSION=1")


def built(folder: Path, photos: Path, *settings: str) -> Path:
    """A build of its own, from photos to the bundle; gives its folder."""
    folder.mkdir()
    (folder / "weights").symlink_to(weights_folder())
    where = (f"DATA={photos}", f"BUILD={folder}")
    done = subprocess.run(
        ["make", "--no-print-directory", *where, *SETTINGS, *settings, "bundle"],
        cwd=ROOT,
        env=environment() | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    # Whether workers of a cluster took part.
    assert ("a second and core" in done.stderr) == ("ENGINE=ray" in settings)
    return folder


@pytest.mark.slow
def test_both_engines_build_one_bundle_to_the_byte(nodes: Nodes, tmp_path: Path) -> None:
    render(tmp_path / "photos", PHOTOS)
    # The same Python for both. Its stamp is of another lock than the one that VENV is made from.
    same = (f"VENV={Path(sys.prefix)}", f"--old-file={Path(sys.prefix) / 'ready'}")
    local = built(tmp_path / "local", tmp_path / "photos", *same)
    on_ray = ("ENGINE=ray", f"RAY_ADDRESS={nodes.address}")
    spread = built(tmp_path / "ray", tmp_path / "photos", *on_ray)
    for name in ("train/split.csv", "train/events.csv", "train/metrics.json", "bundle.tar"):
        assert (local / name).read_bytes() == (spread / name).read_bytes(), name
