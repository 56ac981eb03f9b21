"""The example for Ray's launcher, by the schema of the Ray that is locked."""

from typing import Any

import pytest
import yaml

from tests.support.places import ROOT

util: Any = pytest.importorskip(
    "ray.autoscaler._private.util", reason="Ray is not installed here: see `make test-scale`"
)


def test_ray_up_takes_the_example() -> None:
    config = yaml.safe_load((ROOT / "train" / "cluster" / "ray-up.yaml").read_text("utf-8"))
    # As `ray up` does it: what is not said is filled in before it is checked.
    prepared = util.prepare_config(config)
    util.validate_config(prepared)
    assert prepared["max_workers"] == len(config["provider"]["worker_ips"])
