"""The one place that makes text of others fit for a log, a terminal or a page.

Cameras, brokers, bundles and file names say what they like; a terminal obeys some of it.
"""

import re

_OBEYED = re.compile(
    # C0, DEL and C1; what turns the direction of text; ends of lines; halves of characters.
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def printable(text: str) -> str:
    r"""Text whose control characters are written out, as \x1b, and are obeyed by nobody."""
    return _OBEYED.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def printable_line(text: str) -> str:
    """The same, with ends of lines and runs of spaces as single spaces."""
    return printable(" ".join(text.split()))
