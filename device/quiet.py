"""Silencing native libraries, which write to stderr without going through Python."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


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
