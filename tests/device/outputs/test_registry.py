"""What is said where an output cannot start for want of a package."""

import importlib.metadata
import subprocess
import sys
import tomllib

import pytest

from device.outputs.registry import FACTORIES, MODULES, NEEDS
from tests.support.places import ROOT

START = """
import sys
sys.modules[sys.argv[2]] = None
from device.errors import ConfigError
from device.outputs import registry
from device.outputs.sink import Context
from device.settings.sections import Config
try:
    registry.FACTORIES[sys.argv[1]](Context(Config(), lambda: None, lambda *_: ""))
except ConfigError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("output", "module", "package"),
    [
        ("mqtt", "paho.mqtt", "paho-mqtt"),
        ("prometheus", "prometheus_client", "prometheus-client"),
        ("prometheus", "h11", "h11"),
        ("web", "h11", "h11"),
    ],
)
def test_a_missing_package_is_named_with_what_to_do(output: str, module: str, package: str) -> None:
    command = [sys.executable, "-c", START, output, module]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.startswith(f"{package} is not installed: pip install ")


@pytest.mark.parametrize("output", ["json", "collect", "visits"])
def test_the_other_outputs_need_none_of_them(output: str) -> None:
    hide = f"import sys; sys.modules.update(dict.fromkeys({[*MODULES]!r}))"
    command = [sys.executable, "-c", f"{hide}\n{START}", output, "h11"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout == "" and output not in NEEDS


def test_the_extra_has_all_that_outputs_need() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    packages = {line.split(">=")[0] for line in extras["optional-dependencies"]["outputs"]}
    assert packages == {package for needed in NEEDS.values() for package in needed}
    assert packages == set(MODULES.values()) and set(NEEDS) <= set(FACTORIES)
    assert all(importlib.metadata.version(package) for package in packages)
