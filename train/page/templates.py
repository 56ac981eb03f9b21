"""The templates of training's pages, which share one style."""

from pathlib import Path

from jinja2 import Environment

from device.workstation.templates import environment


def page_environment(folder: Path) -> Environment:
    """Templates of a folder, and those that all pages share."""
    return environment(folder, Path(__file__).parent)
