"""The templates of our pages, all read in one way."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def environment(*folders: Path) -> Environment:
    """The templates of some folders, the first that has a name before the others.

    A name that is not given is an error, not an empty place.
    """
    return Environment(
        loader=FileSystemLoader(folders),
        # Not `select_autoescape`: it goes by the file's suffix, and `.j2` is none it knows.
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
