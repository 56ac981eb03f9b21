"""What all command lines of the project share: errors, output and the log."""

from device.interrupt import INTERRUPTED

import argparse
import io
import logging
import os
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import NoReturn

from device.errors import FieldguideError, UsageError
from device.safe_text import printable, printable_line
from device.settings.address import hide, safe


class Parser(argparse.ArgumentParser):
    """One whose complaints are a line, and repeat no password of a mistyped command line."""

    def error(self, message: str) -> NoReturn:
        """Print the complaint and where to read more; exit with 2."""
        said = f"error: {safe(message)}; see {self.prog} --help"
        self.exit(UsageError.exit_status, f"{printable_line(said)}\n")


def parser(prog: str, description: str, examples: str) -> Parser:
    """The parser of a stage, whose help ends with examples as they are written.

    Each of its commands sets `command`, a function that takes the options and returns a status.
    """
    layout = argparse.RawDescriptionHelpFormatter
    return Parser(prog=prog, description=description, epilog=examples, formatter_class=layout)


def run(commands: argparse.ArgumentParser, arguments: list[str] | None) -> int:
    """Run the command that the arguments (None: those of the process) name; returns its status."""
    options = commands.parse_args(arguments)
    return guarded(lambda: int(options.command(options)))


def guarded(command: Callable[[], int]) -> int:
    """Run a command; an error that a user can fix becomes one line on stderr and an exit status."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A file name may not be valid text, and the terminal may not know a label's letters.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        status = command()
        if sys.stdout is not None:
            sys.stdout.flush()
        return status
    except FieldguideError as error:
        say(f"error: {error}", error=True)
        return error.exit_status
    except BrokenPipeError:
        # The reader (head, a closed terminal) has gone.
        return 1
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        say(f"error: {where}{error.strerror or error}", error=True)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    finally:
        _drop_what_cannot_be_written()


def _drop_what_cannot_be_written() -> None:
    """What stdout still holds for a reader that went, or a full disk: Python complains at exit."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def say(text: str, *, error: bool = False) -> None:
    """Print one line for people, without secrets and without terminal control characters."""
    print(printable(hide(text)), file=sys.stderr if error else sys.stdout, flush=True)


def show_log() -> None:
    """Print the log of a service on stderr, one line each; the journal adds the time.

    Libraries' warnings and tracebacks, too: secrets are removed from all of it.
    """
    formatter = _Formatter("%(levelname)s: %(message)s")
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    log = logging.getLogger("fieldguide")
    log.handlers, log.propagate = [handler], False
    log.setLevel(logging.INFO)
    if logging.lastResort is not None:
        # It prints the warnings of everybody else.
        logging.lastResort.setFormatter(formatter)
    show_faults()


def show_faults() -> None:
    """Print uncaught exceptions without secrets: their text may repeat an address."""
    sys.excepthook = _show_fault
    threading.excepthook = lambda args: _show_fault(
        args.exc_type, args.exc_value, args.exc_traceback
    )


def _show_fault(
    kind: type[BaseException], fault: BaseException | None, where: TracebackType | None
) -> None:
    if kind is not SystemExit:
        print(_shown("".join(traceback.format_exception(kind, fault, where))), file=sys.stderr)


def _shown(text: str) -> str:
    return "\n".join(printable(line) for line in hide(text).rstrip("\n").split("\n"))


class _Formatter(logging.Formatter):
    """Removes secrets and control characters from everything that goes into the log."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        return printable(hide(super().formatMessage(record)))

    def format(self, record: logging.LogRecord) -> str:
        return _shown(super().format(record))


def exit_at_once(status: int) -> NoReturn:
    """End the process although threads hang; what was printed still gets out."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(status)
