"""What the commands of a fleet refuse by their options, names and files alone.

It needs the standard library alone: `make` asks it, too, before it installs or builds anything.
"""

import argparse

from device.contract.release.naming import is_file_name
from device.contract.release.rollout import is_percent
from device.errors import UsageError
from device.fleet import boards
from device.fleet.errors import FleetError
from device.fleet.signing import names
from device.fleet.signing.folder import Fleet


def check(options: argparse.Namespace) -> None:
    """Refuse what a command would refuse by names and files alone, with any Python.

    Raises:
        FieldguideError: naming the setting, and what to give.
        OSError: if the folder cannot be read.
    """
    fleet, act = Fleet(options.fleet), options.name_of_command
    if fleet.path.exists() and not fleet.path.is_dir():
        raise FleetError(f"{fleet.path} is no folder: name one, which may be new")
    for folder in options.keys:
        if not folder.is_dir():
            raise FleetError(f"KEYS={folder}: no such folder; is the stick there?")
    if act in ("ramp", "status"):
        _check_boards(options)
    if act == "promote" and not is_percent(options.percent):
        raise FleetError(f"PERCENT={options.percent:g}: 0 to 100, with at most four decimals")
    for system in options.system if act == "software" else []:
        _check_system(system)
    if act != "init" and not fleet.hidden.exists():
        _check_names(fleet, options)


def _check_boards(options: argparse.Namespace) -> None:
    listed = boards.read_list(options.boards) if options.boards else []
    if options.mqtt and not options.mqtt.is_file():
        raise FleetError(f"MQTT={options.mqtt}: no such file; name settings with [output.mqtt]")
    if not options.mqtt and any(each.url.startswith(boards.AT_BROKER) for each in listed):
        raise FleetError(
            f"{options.boards} names boards at a broker: which one? MQTT= names a settings file "
            "with its section [output.mqtt]"
        )


def _check_system(text: str) -> None:
    parts = text.split("-")
    numbers = [part.split(".") for part in (parts[0], parts[-1])]
    whole = len(parts) == 3 and all(n.isdigit() for number in numbers for n in number)
    if not whole or min(map(len, numbers)) < 2 or not is_file_name(parts[1]):
        raise UsageError(f"{text!r}: write Python, machine and glibc as 3.11.2-aarch64-2.36")


def _check_names(fleet: Fleet, options: argparse.Namespace) -> None:
    act = options.name_of_command
    if not fleet.path.is_dir():
        raise FleetError(f"{fleet.path}: no such folder; make one with `make fleet-init`")
    if not fleet.timestamp.exists():
        raise FleetError(f"{fleet.path} holds no releases: make the folder with `make fleet-init`")
    if act == "publish":
        names.check_to_publish(fleet, options.name, new=options.new)
    if act in ("promote", "halt", "ramp"):
        names.check_release(fleet, options.name)
        names.check_group(fleet, options.group, new=options.new)
    for role in options.role if act == "keys" else [options.role] if act == "renew" else []:
        names.check_role(fleet, role)
