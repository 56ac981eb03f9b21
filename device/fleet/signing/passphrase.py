"""Passphrases of keys: asked for on a terminal, or read from a file or the environment.

Never from a command line, which every user of a machine can read.
"""

import getpass
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from device.fleet.errors import FleetError, NoKeyError, unread

GIVEN, GIVEN_FILE = "FLEET_PASSPHRASE", "FLEET_PASSPHRASE_FILE"
"""Names in the environment, for machines without a person."""
SHORTEST = 12
"""Characters of a new passphrase. Whoever copies a key may try many in a second."""

Ask = Callable[[str], str]


def on_terminal(prompt: str) -> str:
    """What is typed, without showing it.

    Raises:
        NoKeyError: if there is no terminal.
    """
    if not sys.stdin or not sys.stdin.isatty():
        raise NoKeyError(
            f"a passphrase is needed and there is no terminal: put it into the file that "
            f"{GIVEN_FILE} names, or into {GIVEN}, in the environment"
        )
    return getpass.getpass(prompt)


def given(environment: Mapping[str, str] = os.environ) -> str | None:
    """The passphrase of the environment; None if there is none.

    Raises:
        FleetError: if the file that it names cannot be read, or is empty.
    """
    if GIVEN_FILE not in environment:
        return environment.get(GIVEN)
    path = environment[GIVEN_FILE]
    if not path:
        raise FleetError(f"{GIVEN_FILE} is empty: name a file, or unset it; nothing was changed")
    try:
        text = Path(path).read_text("utf-8").strip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise FleetError(f"{GIVEN_FILE}={path}: {unread(error)}; nothing was changed") from error
    if not text:
        # Or keys would be made without any.
        raise FleetError(f"{GIVEN_FILE}={path}: there is none in it; nothing was changed")
    return text


def for_new_keys(ask: Ask = on_terminal) -> str:
    """The passphrase for keys that are about to be made; empty: they are not encrypted.

    Raises:
        FleetError: if it is too short, or not the same twice.
    """
    chosen = given()
    if chosen is None:
        chosen = _asked_twice(ask) if sys.stdin and sys.stdin.isatty() else ""
    if chosen and len(chosen) < SHORTEST:
        raise FleetError(f"a passphrase has at least {SHORTEST} characters; nothing was made")
    return chosen


def _asked_twice(ask: Ask) -> str:
    chosen = ask("Passphrase for keys that you keep (empty: none): ")
    if chosen and ask("The same again: ") != chosen:
        raise FleetError("the passphrases differ; nothing was made")
    return chosen
