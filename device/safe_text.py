"""The one place that makes text from elsewhere safe for a log, a terminal or a page.

Cameras, brokers, bundles and file names may hold anything, also characters that control a terminal.
"""

import re

_OBEYED = re.compile(
    # C0, DEL and C1; what turns the direction of text; ends of lines; halves of characters.
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def printable(text: str) -> str:
    r"""Text with its control characters written out, such as \x1b, so that none has an effect."""
    return _OBEYED.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def printable_line(text: str) -> str:
    """The same on one line: line ends and runs of spaces become single spaces."""
    return printable(" ".join(text.split()))
