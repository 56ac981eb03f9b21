"""The templates of training's pages, which share one style."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def environment(folder: Path) -> Environment:
    """Templates of a folder, and those that all pages share.

    A name that is not given is an error, not an empty place.
    """
    return Environment(
        loader=FileSystemLoader([folder, Path(__file__).parent]),
        # Not `select_autoescape`: it goes by the file's suffix, and `.j2` is none it knows.
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
