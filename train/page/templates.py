"""The templates of training's pages, which share one style."""

from pathlib import Path

from jinja2 import Environment

from device.workstation.templates import environment
from device.workstation.training import LEFT_OUT, Part

PART_NAMES = {
    Part.TRAIN: "train",
    Part.VAL: "validation",
    Part.TEST: "test",
    LEFT_OUT: "left out",
}
"""What pages call the parts of the split."""


def page_environment(folder: Path) -> Environment:
    """Templates of a folder, and those that all pages share."""
    return environment(folder, Path(__file__).parent)
