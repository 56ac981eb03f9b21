"""The command `fieldguide update`, and what its two units run.

What it imports, it imports late: the process with the network needs little, and starts often.
"""

import argparse
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from device import console
from device.console import say
from device.errors import ConfigError, FieldguideError, UpdateError
from device.update.asked import Places

if TYPE_CHECKING:
    from device.settings.sections import Config
    from device.telemetry.updates import ReleaseStatus, UpdateStatus
    from device.update.trust.floor import Clocks

SETTINGS = Path("/etc/fieldguide/fieldguide.toml")
INSTALL_THEM = "pip install 'fieldguide-device[update]'"
PACKAGES = ("tuf", "securesystemslib", "urllib3")
"""Of the extra `update`."""
NOT_YET = "no pass has run yet: `sudo systemctl start fieldguide-install` does one"
NOT_ASKED = "no releases are fetched: see [update] in fieldguide.toml"
FETCH, INSTALL = "fetch", "install"
SOFTWARE, BOOT, TRY = "software", "boot", "try"


def add(parser: argparse.ArgumentParser) -> None:
    """Add the actions to a parser."""
    shared = console.Parser(add_help=False)
    shared.add_argument("--config", type=Path, default=SETTINGS, help=f"default: {SETTINGS}")
    shared.add_argument("--fetched", type=Path, default=Places.fetched, help=argparse.SUPPRESS)
    shared.add_argument("--asked", type=Path, default=Places.asked, help=argparse.SUPPRESS)
    commands = parser.add_subparsers(required=True, metavar="ACTION")

    command = commands.add_parser("status", parents=[shared], help="which release, and what of it")
    command.add_argument("--json", action="store_true", help="one JSON object")
    command.set_defaults(command=show_status)

    command = commands.add_parser("check", parents=[shared], help="ask the server or stick now")
    command.set_defaults(command=check_now)

    command = commands.add_parser(
        "now", parents=[shared], help="take what is meant for this board, at any hour"
    )
    command.set_defaults(command=want_now)

    command = commands.add_parser("run", parents=[shared], help="what the units do: one pass")
    parts = (FETCH, INSTALL, SOFTWARE, BOOT, TRY)
    command.add_argument("--part", choices=parts, help="one part alone; none: fetch and install")
    command.set_defaults(command=run_pass)


def show_status(options: argparse.Namespace) -> int:
    """Print what the updater tells; returns 1 if it has a problem."""
    from device.settings import sections
    from device.settings.state import updates_folder
    from device.telemetry.updates import STATUS_FILE, UpdateStatus, read

    config = sections.load(options.config)
    status = read(UpdateStatus, updates_folder(config) / STATUS_FILE)
    if config.update.enabled and not (status.source or options.json):
        raise UpdateError(NOT_YET)
    return _tell(status, as_json=options.json)


def check_now(options: argparse.Namespace) -> int:
    """Ask, and fetch what is new; returns 1 if that failed."""
    from device.update import asked
    from device.update.check import check
    from device.update.owner import acting_as_owner
    from device.update.trust.floor import Clocks

    places = _places(options)
    with acting_as_owner(places.fetched), _needed():
        if not asked.read(places.asked).url:
            raise UpdateError(NOT_ASKED if places.asked.exists() else NOT_YET)
        found = check(places, Clocks(), forced=True)
    offered = f"release {found.latest} is meant for this board" if found.latest else "no release"
    missed = found.problem or (found.away and f"waits for {found.away}")
    say(missed or offered, error=bool(missed))
    _say_doing(options)
    return int(bool(missed))


def want_now(options: argparse.Namespace) -> int:
    """Leave a wish for the units."""
    from device.settings.state import updates_folder
    from device.telemetry.updates import WANTED_FILE
    from device.update.owner import acting_as_owner

    folder = updates_folder(_enabled(options))
    if not folder.exists():
        raise UpdateError(NOT_YET)
    with acting_as_owner(folder):
        (folder / WANTED_FILE).touch()
    say("wanted; `fieldguide update status` says what comes of it")
    _say_doing(options)
    return 0


def run_pass(options: argparse.Namespace) -> int:
    """One pass of fetching, of installing, or of both; returns 0: the next pass tries again."""
    from device.update.trust.floor import Clocks

    console.show_log()
    places, clocks = _places(options), Clocks()
    if options.part in (SOFTWARE, BOOT, TRY):
        return _run_software(options, places, clocks)
    if options.part != INSTALL:
        from device.update.check import check

        with _needed():
            problem = check(places, clocks).problem
        if problem:
            say(problem, error=True)
    if options.part != FETCH:
        from device.outputs.mqtt.home_assistant import device_id
        from device.settings import sections

        with _needed():
            from device.update.run import install_pass
        config = sections.load(options.config)
        status = install_pass(config, device_id(config.output.mqtt), places, clocks)
        _tell(status, as_json=False)
    return 0


def _run_software(options: argparse.Namespace, places: Places, clocks: "Clocks") -> int:
    from device.outputs.mqtt.home_assistant import device_id
    from device.settings import sections

    config = sections.load(options.config)
    with _needed():
        from device.update.software import run
    if options.part == TRY:
        run.try_out()
        return 0
    device, boot = device_id(config.output.mqtt), options.part == BOOT
    progress = run.software_pass(config, device, options.config, places, clocks, boot=boot)
    say(f"software: release {progress.release} {progress.stage}".rstrip())
    for said in filter(None, (progress.waits and f"waits for: {progress.waits}", progress.problem)):
        say(said)
    return 0


def _say_doing(options: argparse.Namespace) -> None:
    """Say what is being done about releases; nothing if that may not be read."""
    from device.settings import sections
    from device.settings.state import updates_folder
    from device.telemetry.updates import STATUS_FILE, UpdateStatus, read

    try:
        status = read(UpdateStatus, updates_folder(sections.load(options.config)) / STATUS_FILE)
    except FieldguideError:
        return
    for kind, doing in (("", status.doing), ("software: ", status.software.doing)):
        if doing:
            say(kind + doing)


@contextmanager
def _needed() -> Iterator[None]:
    """Say how to install what verifies releases, if it is not here."""
    try:
        yield
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in PACKAGES:
            raise
        raise UpdateError(f"{error.name} is not installed: {INSTALL_THEM}") from error


def _places(options: argparse.Namespace) -> Places:
    return Places(options.fetched, options.asked)


def _enabled(options: argparse.Namespace) -> "Config":
    from device.settings import sections

    config = sections.load(options.config)
    if not config.update.enabled:
        raise ConfigError(f"{options.config}: no releases are fetched: set update.enabled")
    return config


def _tell(status: "UpdateStatus", *, as_json: bool) -> int:
    if as_json:
        print(json.dumps(asdict(status)))
    else:
        for line in lines(status):
            say(line)
    return int(bool(status.problem))


def lines(status: "UpdateStatus") -> list[str]:
    """What people are told, a line each."""
    if not status.source:
        return [NOT_ASKED]
    told = [
        f"releases of {status.name} from {status.source}",
        *_told_of(status),
        f"last check: {_checked(status)}",
    ]
    if status.group_note:
        told.append(status.group_note)
    if status.frozen:
        told.append("nothing newer was signed for three weeks: is somebody holding it back?")
    own = status.software
    return [*told, f"software {own.version} in {own.runs}", *_told_of(own)]


def _told_of(status: "ReleaseStatus") -> Iterator[str]:
    stage = f" ({status.stage})" if status.stage else ""
    yield f"installed: {status.installed or 'none yet'}{stage}"
    if status.doing:
        yield status.doing
    yield f"meant for this board: {status.latest or 'none, or not known yet'}"
    if status.waits:
        yield f"waits for: {status.waits}"
    if status.problem:
        yield f"problem: {status.problem}"
    yield from (f"led back: release {each}" for each in status.failed)


def _checked(status: "UpdateStatus") -> str:
    if not status.checked_unix_s:
        return "never"
    by = "by a time server" if status.verified else "by the latest moment known to be past"
    return f"{datetime.fromtimestamp(status.checked_unix_s, UTC):%Y-%m-%d %H:%M} UTC, {by}"
