"""What the commands of a fleet do and say: what will happen, before it does."""

import argparse
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from device.console import say
from device.contract.release.naming import release_id
from device.contract.release.rollout import Stage
from device.fleet import boards, init, ramp, releases, software, stages, tidy, upkeep
from device.fleet import publish as publishing
from device.fleet.boards import AT_BROKER, EVERY, Asked, Told
from device.fleet.errors import FleetError
from device.fleet.publish import Plan
from device.fleet.signing import passphrase
from device.fleet.signing.change import Change
from device.fleet.signing.folder import Fleet, changing, make_folder
from device.fleet.signing.keys import Keyring, file_name
from device.fleet.signing.roles import PUBLISHER, ROOT, TARGETS, TOP, expiry
from device.fleet.signing.state import read


def make(options: argparse.Namespace) -> int:
    """Make keys and an empty repository."""
    fleet = Fleet(options.fleet)
    make_folder(fleet.path)
    with changing(fleet):
        if init.finish(fleet):
            say("finishes what was cut short")
        elif fleet.public.exists():
            raise FleetError(f"{fleet.path} is a fleet already; for other keys: `make fleet-keys`")
        else:
            _make(fleet)
    say(f"carry away   {fleet.keys}/root-*.pem, to three places, and targets-*.pem to one")
    say(f"boards trust {fleet.root(1)}")
    say(f"serve        {fleet.public}")
    return 0


def _make(fleet: Fleet) -> None:
    say(f"makes keys in {fleet.keys} and an empty repository in {fleet.public}")
    secret = passphrase.for_new_keys()
    init.make(fleet, secret)
    say(f"keys of {', '.join(PUBLISHER)}: not encrypted, for a machine with a timer")
    say(f"all other keys: {'encrypted' if secret else 'NOT encrypted; no passphrase was given'}")


def publish(options: argparse.Namespace) -> int:
    """Sign a bundle as a release."""
    with _change(options) as change:
        return _publish(change, publishing.plan(change, options.bundle, options.name))


def publish_software(options: argparse.Namespace) -> int:
    """Sign the device package, and what it needs, as a release."""
    boards = [software.board_of(text) for text in options.system]
    wanted = software.Software(options.wheel, options.lock, options.unit, boards, options.wheels)
    with _change(options) as change:
        return _publish(change, software.plan(change, wanted))


def _publish(change: Change, planned: Plan) -> int:
    if planned.known:
        publishing.publish(change, planned, "")
        known = release_id(planned.name, planned.known)
        say(f"{known} has the same files already{_told(change)}")
        return 0
    release = release_id(planned.name, planned.number)
    size = f"{len(planned.parts)} files, {planned.sent_bytes:,} bytes"
    say(f"signs {planned.about} as {release}: {size}")
    secret = ""
    if planned.new_role:
        say(f"{planned.name} is new: makes a key for it, and {TARGETS} signs that")
        secret = passphrase.for_new_keys()
    publishing.publish(change, planned, secret)
    say(f"{release} is signed{_told(change)}; no board is offered it before `make promote`")
    return 0


def promote(options: argparse.Namespace) -> int:
    """Offer a release to more boards."""
    with _change(options) as change:
        stage = stages.promote(
            change,
            options.name,
            options.percent,
            options.group,
            number=options.release,
            lower=options.lower,
            resume=options.resume,
        )
        _write_stage(change, options, stage)
    return 0


def halt(options: argparse.Namespace) -> int:
    """Offer a release to no more boards."""
    with _change(options) as change:
        groups = stages.groups(change, options.name)
        _write_stage(change, options, stages.halt(change, options.name, options.group))
    if options.group not in groups:
        others = " and GROUP=".join(groups)
        say(f"{options.group} had no stage of its own; {options.name} goes on in GROUP={others}")
    say("boards that have it keep it; to take it from them, publish a better one")
    return 0


def look(options: argparse.Namespace) -> int:
    """Raise what is offered by a stage, halt it, or leave it; returns 1 if it is halted."""
    if not (options.boards or options.mqtt):
        raise FleetError("list the boards: BOARDS=boards.txt, or name their broker: MQTT=")
    told = _told_by_boards(options)
    with _change(options) as change:
        stage = ramp.offered(change, options.name, options.group)
        counts = ramp.counted(told, options.name, stage.release)
        if not counts.answered:
            where = options.boards or options.mqtt
            raise FleetError(f"{where}: no board there tells of {options.name}")
        say(f"{release_id(options.name, stage.release)}: {counts.words()}")
        known = ramp.remember(change, options.name, options.group, stage, counts)
        verdict = ramp.judged(known, time.time(), options.hours)
        say(verdict.words(stage), error=bool(verdict.halt))
        if verdict.halt and not stage.halted:
            halted = stages.halt(change, options.name, options.group)
            _write_stage(change, options, halted)
            # Only now: a kill before it must not make these failures old ones.
            ramp.remember(change, options.name, options.group, halted, counts)
        elif verdict.percent:
            _write_stage(change, options, replace(stage, percent=verdict.percent))
    return int(bool(verdict.halt))


def refresh(options: argparse.Namespace) -> int:
    """Sign again what the publisher's keys sign."""
    with _change(options) as change:
        upkeep.refresh(change)
        say(f"signed until {expiry('timestamp'):%d %B %Y}")
        for line in upkeep.warnings(change):
            say(f"warning: {line}", error=True)
    return 0


def tidy_up(options: argparse.Namespace) -> int:
    """Remove what boards cannot want any more."""
    with _change(options) as change:
        gone = tidy.plan(change.fleet, change.state)
        size = sum(each.path.stat().st_size for each in gone)
        years = tidy.longest().days // 365
        say(f"{len(gone)} files, {size:,} bytes, are in no list of the last {years} years")
        for each in gone:
            shown = each.path.relative_to(change.fleet.public)
            say(f"removes {shown}, replaced on {each.since:%d %B %Y}")
            each.path.unlink(missing_ok=True)
        tidy.remove_empty_folders(change.fleet)
    return 0


def renew(options: argparse.Namespace) -> int:
    """Sign a role again, so that it expires later."""
    with _change(options) as change:
        change.state.role(options.role)
        say(f"signs {options.role} again, until {expiry(options.role):%d %B %Y}")
        upkeep.renew(change, options.role)
        say(f"signed{_told(change)}")
    return 0


def change_keys(options: argparse.Namespace) -> int:
    """Give roles other keys."""
    names = list(dict.fromkeys(options.role))
    with _change(options) as change:
        for role in names:
            change.state.role(role)
        judges = sorted({ROOT if role in TOP else TARGETS for role in names})
        say(f"makes keys of {', '.join(names)}, to be signed by {' and '.join(judges)}")
        secret = "" if {*names} <= {*PUBLISHER} else passphrase.for_new_keys()
        old = upkeep.rotate(change, names, secret)
        told = _told(change)
    say(f"{', '.join(names)}: other keys, in {change.fleet.keys}{told}; destroy the old ones:")
    for role, known in old.items():
        for key in known:
            say(f"  {file_name(role, key.keyid)}")
    return 0


def show_status(options: argparse.Namespace) -> int:
    """Say what is offered, when roles expire, and what boards run."""
    with _change(options) as change:
        offered = releases.read_rollout(change.fleet, change.state)
        for group, stages_of in sorted(offered.groups.items()):
            for name, stage in sorted(stages_of.items()):
                say(f"boards of {group}: {_in_words(name, stage)}")
        for release in releases.waiting(change.state, offered):
            say(f"{release} is signed, and no board is offered it before `make promote`")
        for role in change.state.names():
            signed = change.state.signed(role)
            say(f"{role} " + (f"expires {signed.expires:%d %B %Y}" if signed else "is not signed"))
        if not change.state.is_complete():
            say("boards are not told all that is signed: `make fleet-refresh`")
    told = _told_by_boards(options)
    for each in told:
        doing = each.problem or ", ".join(ran.words() for ran in each.fetched)
        say("; ".join([f"{each.url}: {doing}", *each.troubles]))
    for line in boards.summary(told):
        say(line)
    return 0


def _told_by_boards(options: argparse.Namespace) -> list[Told]:
    """What boards tell, by their metrics and at the broker; all at it if there is no list."""
    everybody = [Asked(AT_BROKER + EVERY)] if options.mqtt else []
    listed = boards.read_list(options.boards) if options.boards else everybody
    ids = [each.url.removeprefix(AT_BROKER) for each in listed if each.url.startswith(AT_BROKER)]
    told = boards.ask([each for each in listed if not each.url.startswith(AT_BROKER)])
    if not ids:
        return told
    from device.fleet import at_broker

    return told + at_broker.ask(at_broker.read_broker(options.mqtt), ids)


@contextmanager
def _change(options: argparse.Namespace) -> Iterator[Change]:
    fleet = Fleet(options.fleet)
    folders: list[Path] = [fleet.keys, *options.keys]
    with changing(fleet):
        init.finish(fleet)
        yield Change(fleet, Keyring(folders), read(fleet))


def _write_stage(change: Change, options: argparse.Namespace, stage: Stage) -> None:
    say(f"boards of {options.group}: {_in_words(options.name, stage)}")
    stages.write(change, options.name, options.group, stage)
    say(f"signed{_told(change)}")


def _in_words(name: str, stage: Stage) -> str:
    rest = f"all others {release_id(name, stage.base)}" if stage.base else "all others nothing new"
    if stage.halted:
        return f"{release_id(name, stage.release)} is offered to no more of them, {rest}"
    return f"{stage.percent:g}% are offered {release_id(name, stage.release)}, {rest}"


def _told(change: Change) -> str:
    """Whether boards see it, or who must do what first."""
    if change.can_finish:
        return ""
    return ", but the publisher's keys are not here: `make fleet-refresh` where they are"


ALL: Mapping[str, Callable[[argparse.Namespace], int]] = {
    "init": make,
    "publish": publish,
    "software": publish_software,
    "promote": promote,
    "halt": halt,
    "ramp": look,
    "status": show_status,
    "refresh": refresh,
    "tidy": tidy_up,
    "renew": renew,
    "keys": change_keys,
}
"""By the words of the command line."""
