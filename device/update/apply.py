"""Installs what was fetched, waits until it was seen working, or goes back.

One call of `step` does what can be done now; a kill at any point is made up for by the next one. A
release that led back is never taken again, nor is one of a lower number. A model goes into slots
(`device.update.board`), the software beside what runs (`device.update.software.place`).
"""

import time
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from device.contract.release.record import Release
from device.errors import BundleError, FieldguideError, UnfitError, one_line
from device.settings.address import safe
from device.telemetry.updates import Health
from device.update import watch
from device.update.state import BACK, IDLE, INSTALLING, TRIAL, WATCH, Progress
from device.update.trust.floor import Clocks

if TYPE_CHECKING:
    from device.update.trust.trusted import Trusted

MOST_ATTEMPTS = 3
"""A release that was begun so often and never became current has failed: it may crash the board."""
MOST_FAILED = 20
"""So many are told; that none is taken again follows from `Progress.taken`."""
NOT_CONFIRMED = "what runs is not confirmed yet: a board on trial takes nothing"


@dataclass(frozen=True)
class Prepared:
    """A release that is verified and whole."""

    digest: str
    install: Callable[[], bool]
    """Makes it current on trial; returns whether that changed anything."""


class Place(Protocol):
    """Where releases of one kind are installed."""

    @abstractmethod
    def prepared(self, trusted: "Trusted", found: Release) -> Prepared:
        """A release that can be installed, or an error that says whether it ever will."""

    @abstractmethod
    def holds(self, digest: str) -> bool:
        """Whether this release is current."""

    @abstractmethod
    def is_confirmed(self) -> bool:
        """Whether what is current is what one would go back to."""

    @abstractmethod
    def works(self, progress: Progress, health: Health) -> bool:
        """Whether the release on trial was seen working."""

    @abstractmethod
    def fault(self, progress: Progress, health: Health) -> str:
        """Why the release on trial or being watched must go; empty if it need not."""

    @abstractmethod
    def go_back(self) -> None:
        """Return to the release before."""

    @abstractmethod
    def keep(self) -> None:
        """From now on this is what one goes back to."""


def step(progress: Progress, place: Place, health: Health) -> Progress:
    """Do what can be done now about a stage that goes on; nothing if there is none.

    Args:
        progress: with its `uptime` as of now.
        place: of the release.
        health: of the service.

    Raises:
        FieldguideError: if slots or files do not allow it now.
        OSError: likewise.
    """
    if progress.stage == INSTALLING:
        return _resumed(progress, place)
    if progress.stage == BACK:
        return _gone_back(progress, place)
    if progress.stage in (TRIAL, WATCH):
        return _judged(progress, place, health)
    return progress


def prepared(progress: Progress, attempts: int, digest: str) -> Progress:
    """The state to keep before a release is written.

    Args:
        progress: with the release.
        attempts: how often it was begun before.
        digest: of the release.
    """
    return replace(
        progress,
        stage=INSTALLING,
        digest=digest,
        attempts=attempts + 1,
        began_s=progress.uptime.total_s,
        served_s=0.0,
        boots=0,
    )


def install(progress: Progress, place: Place, ready: Prepared) -> Progress:
    """Put the release of an INSTALLING stage on trial; what does not work here has failed.

    Raises:
        FieldguideError: if the place does not allow it now.
        OSError: likewise.
    """
    if progress.attempts > MOST_ATTEMPTS:
        return failed(progress, f"begun {MOST_ATTEMPTS} times without an end")
    try:
        changed = ready.install()
    except FieldguideError as error:
        if any(isinstance(each, BundleError | UnfitError) for each in (error, error.__cause__)):
            return failed(progress, one_line(error))
        # The disk is full, or somebody else is installing: it is tried again.
        raise
    if not changed and place.is_confirmed():
        # The same bundle under another number.
        return _applied(progress)
    return replace(_begun(progress, TRIAL), taken=progress.release)


def failed(progress: Progress, reason: str) -> Progress:
    """Remember that a release did not work; it is never taken again."""
    told = f"{progress.release}: {safe(reason)}"
    return replace(
        _begun(progress, IDLE),
        taken=max(progress.taken, progress.release),
        failed=(*progress.failed, told)[-MOST_FAILED:],
        refused=tuple(filter(None, (*progress.refused, progress.digest)))[-MOST_FAILED:],
    )


def _begun(progress: Progress, stage: str) -> Progress:
    now_s = progress.uptime.total_s
    return replace(progress, stage=stage, began_s=now_s, served_s=0.0, attempts=0, problem="")


def _applied(progress: Progress) -> Progress:
    number = progress.release
    return replace(_begun(progress, IDLE), taken=number, applied=number)


def _resumed(progress: Progress, place: Place) -> Progress:
    """After a kill while it was written: on trial if that was done, else to be tried again."""
    if place.holds(progress.digest):
        return replace(_begun(progress, TRIAL), taken=progress.release)
    if progress.attempts >= MOST_ATTEMPTS:
        return failed(progress, f"begun {MOST_ATTEMPTS} times without an end")
    return replace(progress, stage=IDLE)


def _judged(progress: Progress, place: Place, health: Health) -> Progress:
    """Seen working, over, or back."""
    if not place.holds(progress.digest):
        # A person or a deployment has put something else there, which is theirs to judge.
        return _begun(progress, IDLE)
    if progress.stage == TRIAL and place.works(progress, health):
        begun = _begun(progress, WATCH)
        return replace(begun, applied=progress.release, returns_to=progress.applied)
    if progress.stage == WATCH and progress.uptime.total_s - progress.began_s > watch.WATCH_S:
        place.keep()
        return _begun(progress, IDLE)
    if fault := place.fault(progress, health):
        return back(progress, fault)
    return progress


def back(progress: Progress, fault: str) -> Progress:
    """A release on trial, or being watched, has failed."""
    if progress.stage == WATCH:
        progress = replace(progress, applied=progress.returns_to)
    return replace(failed(progress, fault), stage=BACK, served_s=0.0)


def _gone_back(progress: Progress, place: Place) -> Progress:
    """Return to the release before, unless that was done before a kill."""
    if place.holds(progress.digest):
        place.go_back()
    return _begun(progress, IDLE)


def is_hour(hours: tuple[int, int], hour: int) -> bool:
    """Whether an hour of the day lies between two, perhaps over midnight."""
    begin, end = hours
    return begin <= hour < end if begin < end else hour >= begin or hour < end


def local_hour(clocks: Clocks) -> int:
    """The hour of the board's clock and zone."""
    return time.localtime(clocks.unix_s()).tm_hour
