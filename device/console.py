"""What every command line of the project does alike."""

import io
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

from device.errors import FieldguideError

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""


def guarded(command: Callable[[], int]) -> int:
    """Run a command; what a user can mend becomes one line on stderr and an exit status."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A file name need not be text, nor a label be of the terminal's alphabet.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        status = command()
        if sys.stdout is not None:
            sys.stdout.flush()
        return status
    except FieldguideError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_status
    except BrokenPipeError:
        # The reader (head, a closed terminal) has gone; Python would complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"error: {where}{error.strerror or error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED


def show_log() -> None:
    """Print the log of a service on stderr, one line each; the journal adds the time."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    log = logging.getLogger("fieldguide")
    log.handlers, log.propagate = [handler], False
    log.setLevel(logging.INFO)


def exit_at_once(status: int) -> NoReturn:
    """End the process past threads that hang, with what was printed."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(status)


@contextmanager
def quiet_native_stderr() -> Iterator[None]:
    """Silence what native libraries write to stderr, past Python, while they load or convert.

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
