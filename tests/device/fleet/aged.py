"""A fleet with years behind it: what is old enough to be removed, and what is not."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from unittest.mock import patch

from device.contract import bundle
from device.fleet import releases, tidy
from device.fleet.__main__ import main
from device.fleet.signing import change, roles, state
from tests.support.device.bundle_files import resealed, write_folder
from tests.support.device.tiny_bundle import TAR

LONG_AGO = (1100, 1000, 900, 800)
"""Days, longer than anything that is signed holds."""
LATELY = 700
PERSONS = ("root", "targets", "model-birds", "software")


@contextmanager
def days_ago(days: float) -> Iterator[None]:
    """Commands take it for that day."""
    then = roles.now() - timedelta(days=days)
    with ExitStack() as stack:
        for module in (roles, change, state, tidy):
            stack.enter_context(patch.object(module, "now", lambda: then))
        yield


def make(folder: Path) -> Path:
    """A fleet whose releases 1 to 4 were published long ago, 5 lately, and 6 today.

    So 1, which was still the one to fall back to when 3 was offered, is in no list since 4 came.

    Args:
        folder: where bundles and the fleet are made.
    """
    fleet = folder / "fleet"
    good(fleet, LONG_AGO[0] + 1, "init")
    for number, days in enumerate((*LONG_AGO, LATELY, 0), 1):
        if days < min(LONG_AGO):
            for role in PERSONS:
                good(fleet, days, "renew", f"--role={role}")
        publish(fleet, folder / f"bundle{number}", days)
    return fleet


def publish(fleet: Path, bundle_folder: Path, days: float) -> None:
    """A release of its own labels, for all boards; the one before is signed no longer."""
    name = bundle_folder.name
    files = resealed({**bundle.read_files(TAR), bundle.LABELS: f"{name}\nb\nc\n".encode()})
    write_folder(bundle_folder, files)
    good(fleet, days, "publish", "--name=birds", f"--bundle={bundle_folder}")
    for percent in (1, 100):
        good(fleet, days, "promote", "--name=birds", f"--percent={percent}")


def good(fleet: Path, days: float, command: str, *options: str) -> None:
    """A command that must succeed, so many days ago."""
    with days_ago(days), patch.object(releases, "KEPT", 1):
        assert main([command, f"--fleet={fleet}", *options]) == 0
