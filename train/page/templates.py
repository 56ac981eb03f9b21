"""The template environment of training's pages, and their names for the parts of the split."""

from pathlib import Path

from jinja2 import Environment

from device.workstation.templates import STYLES, environment
from device.workstation.training import LEFT_OUT, Part
from device.workstation.wording import counted, number

PART_NAMES = {
    Part.TRAIN: "train",
    Part.VAL: "validation",
    Part.TEST: "test",
    LEFT_OUT: "left out",
}
"""Names of the parts of the split on pages."""


def page_environment(folder: Path) -> Environment:
    """An environment with the templates of a folder and the style sheet of all pages."""
    templates = environment(folder, STYLES)
    templates.globals |= {"counted": counted, "number": number}
    return templates
