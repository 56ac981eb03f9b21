"""Ctrl-C while a command still imports what it needs is one line, as it is later on.

Whatever can be run imports this before anything else. Later `device.console.guarded` catches it.
"""

import sys
from types import TracebackType

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""


def _tell(kind: type[BaseException], fault: BaseException, where: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        print("interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)
    sys.__excepthook__(kind, fault, where)


sys.excepthook = _tell
