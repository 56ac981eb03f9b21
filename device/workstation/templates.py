"""The Jinja environment of all our pages, and where their style sheet is."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

STYLES = Path(__file__).parent
"""Folder of `style.html.j2`, the style sheet of all pages."""


def environment(*folders: Path) -> Environment:
    """An environment for templates in some folders; earlier folders take precedence.

    An undefined variable is an error and not empty text.
    """
    return Environment(
        loader=FileSystemLoader(folders),
        # Not `select_autoescape`: it goes by the file suffix, and does not know `.j2`.
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
