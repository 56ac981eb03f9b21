"""Silencing libraries: native ones, which write straight to stderr, and Pillow's warnings."""

import os
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

_lock = threading.Lock()
_filters = ExitStack()
_inside = 0
"""How many now ignore Pillow's warnings."""


@contextmanager
def quiet_native_stderr() -> Iterator[None]:
    """Silence what native libraries write straight to stderr while they load or convert.

    Exceptions still come through: they are Python's.
    """
    if sys.stderr is None:
        # Started with stderr closed: nothing to silence.
        yield
        return
    sys.stderr.flush()
    kept = os.dup(2)
    silence = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(silence, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(silence)


@contextmanager
def quiet_pillow() -> Iterator[None]:
    """Ignore Pillow's warnings, such as those about damaged metadata.

    `warnings.catch_warnings` alone is not made for threads: the first one to leave puts back the
    filters while others still need theirs. Here the last one does.
    """
    global _inside
    with _lock:
        if not _inside:
            _filters.enter_context(warnings.catch_warnings())
            warnings.filterwarnings("ignore", module=r"PIL\.")
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside:
                _filters.close()
