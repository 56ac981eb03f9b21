"""Command line of a fleet: make it, publish, offer to more boards, keep it signed."""

import device.interrupt  # noqa: F401

import argparse
import sys
from contextlib import suppress
from pathlib import Path

from device import console
from device.fleet import given
from device.fleet.errors import FleetError

INSTALL_IT = "the commands of make do that, such as `make fleet-status`; or device/fleet/lock.txt"
MOST_HOURS = 8760.0
WINDOW_H = 48.0
"""Boards watch a release for a day, and some install only at night."""
EXAMPLES = """examples:
  make fleet-init FLEET=~/fleet
  make publish FLEET=~/fleet NAME=birds
  make promote FLEET=~/fleet NAME=birds PERCENT=10
  make halt FLEET=~/fleet NAME=birds
  make fleet-refresh FLEET=~/fleet            # daily, by a timer
  make fleet-keys FLEET=~/fleet ROLE=root KEYS=/media/stick
Keys are also looked for in the folders of KEYS. A passphrase is asked for on
a terminal, or comes from the environment: FLEET_PASSPHRASE_FILE names a file
with it, or FLEET_PASSPHRASE is it.
"""


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    return console.run(_parser(), arguments)


def _act(options: argparse.Namespace) -> int:
    given.check(options)
    if options.check:
        return 0
    try:
        from device.fleet import commands
    except ImportError as error:
        raise FleetError(f"{error.name} is not installed: {INSTALL_IT}") from error
    return commands.ALL[options.name_of_command](options)


def _parser() -> argparse.ArgumentParser:
    parser = console.parser(
        "python -m device.fleet", "Signed releases that boards fetch themselves.", EXAMPLES
    )
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, text: str) -> argparse.ArgumentParser:
        command = subparsers.add_parser(name, help=text, description=f"{text.capitalize()}.")
        command.add_argument("--fleet", type=Path, required=True, help="the fleet's folder")
        command.add_argument("--check", action="store_true", help="only refuse what is wrong")
        command.set_defaults(command=_act, name_of_command=name, keys=[])
        if name != "init":
            help_of_keys = "another folder with keys; may be given again"
            command.add_argument(
                "--keys", type=Path, action="append", default=[], help=help_of_keys
            )
        return command

    add("init", "make keys and an empty repository")
    command = add("publish", "sign a bundle as a release; no board gets it yet")
    command.add_argument("--name", required=True, help="of the releases, such as birds")
    _add_new(command, "the name")
    command.add_argument("--bundle", type=Path, required=True, help="bundle.tar or its folder")
    command = add("software", "sign the device package as a release")
    command.add_argument("--wheel", type=Path, required=True, help="folder with its wheel")
    command.add_argument("--lock", type=Path, required=True, help="of the packages it needs")
    command.add_argument("--unit", type=Path, action="append", default=[], help="for systemd")
    command.add_argument("--wheels", type=Path, required=True, help="folder to fetch wheels into")
    systems = "boards it is for, as 3.11.2-aarch64-2.36; may be given again"
    command.add_argument("--system", action="append", required=True, help=systems)
    command = add("promote", "offer a release to more boards")
    _add_stage(command)
    command.add_argument("--percent", type=_percent, required=True, help="of the group's boards")
    command.add_argument(
        "--release", type=_release, default=0, help="its number; default: the newest"
    )
    command.add_argument("--lower", action="store_true", help="the percentage may fall")
    command.add_argument("--resume", action="store_true", help="also one that is halted")
    _add_stage(add("halt", "offer a release to no more boards"))
    command = add("ramp", "raise or halt what is offered, by what boards tell")
    _add_stage(command)
    _add_boards(command)
    hours = "for which each stage is watched; default: %(default)g"
    command.add_argument("--hours", type=_hours, default=WINDOW_H, help=hours)
    command = add("status", "say what is offered, and what boards run")
    _add_boards(command)
    add("refresh", "sign again what the publisher's keys sign")
    add("tidy", "remove what boards cannot want any more")
    command = add("renew", "sign a role again, so that it expires later")
    command.add_argument("--role", required=True, help="such as targets or model-birds")
    command = add("keys", "give roles other keys")
    roles = "such as root or timestamp; may be given again"
    command.add_argument("--role", action="append", required=True, help=roles)
    return parser


def _add_boards(command: argparse.ArgumentParser) -> None:
    listed = "a file: in each line the metrics of a board, or mqtt: and its id"
    command.add_argument("--boards", type=Path, help=listed)
    broker = "a settings file with [output.mqtt]; alone, all boards at that broker"
    command.add_argument("--mqtt", type=Path, help=broker)


def _percent(text: str) -> float:
    with suppress(ValueError):
        return float(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no number: give 0 to 100, such as 10")


def _release(text: str) -> int:
    if text.isascii() and text.isdecimal() and int(text):
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r}: give the number of a release, such as 3")


def _hours(text: str) -> float:
    with suppress(ValueError):
        if 0 <= float(text) <= MOST_HOURS:
            return float(text)
    raise argparse.ArgumentTypeError(f"{text!r}: give 0 to {MOST_HOURS:g} hours, such as 48")


def _add_new(command: argparse.ArgumentParser, what: str) -> None:
    command.add_argument("--new", action="store_true", help=f"{what} is new, and no slip")


def _add_stage(command: argparse.ArgumentParser) -> None:
    command.add_argument("--name", required=True, help="of the releases, such as birds")
    command.add_argument("--group", default="all", help="of boards; default: %(default)s")
    _add_new(command, "the group")


if __name__ == "__main__":
    sys.exit(main())
