"""Promises of time: no clock, a wrong one and one that jumps neither brick a board nor fool it."""

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from device.errors import ExpiredError
from device.update.trust import floor
from device.update.trust.floor import Uptime
from device.update.trust.trusted import Trusted
from device.update.trust.web import Web
from tests.device.update.releases.conftest import Scene
from tests.support.device.board import Clock, Files, offer
from tests.support.device.fleet import SIGNED, Fleet
from tests.support.device.release_server import serving

LONG_AGO, FAR_AHEAD = datetime(1970, 1, 1, tzinfo=UTC), datetime(2038, 1, 19, tzinfo=UTC)


def test_expiry_is_judged_by_the_time_that_is_given(tmp_path: Path) -> None:
    """Fails when python-tuf keeps its time elsewhere: `_Updater.set_reference` must follow."""
    fleet = Fleet(tmp_path / "public")
    with serving(fleet.public) as server:

        def refresh(name: str, when: datetime) -> None:
            Trusted(tmp_path / name, fleet.first_root, Web(server.url), when).refresh()

        # Its own clock says neither of these.
        refresh("fresh", SIGNED + timedelta(days=13))
        for late in (SIGNED + timedelta(days=15), FAR_AHEAD):
            with pytest.raises(ExpiredError, match="expired"):
                refresh("late", late)
        refresh("early", LONG_AGO)


def test_what_is_accepted_is_on_the_disk_before_it_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails when python-tuf writes its files in another way: they must survive a power cut."""
    fleet = Fleet(tmp_path / "public")
    synced: list[str] = []
    sync = os.fsync

    def noted(number: int) -> None:
        synced.append(Path(os.readlink(f"/proc/self/fd/{number}")).name)
        sync(number)

    monkeypatch.setattr(os, "fsync", noted)
    with serving(fleet.public) as server:
        Trusted(tmp_path / "kept", fleet.first_root, Web(server.url), SIGNED).refresh()
    kept = {path.name for path in (tmp_path / "kept").rglob("*.json") if not path.is_symlink()}
    assert {"1.root.json", "timestamp.json", "snapshot.json", "targets.json"} == kept
    assert {f".part-{name}" for name in kept} <= set(synced)


@pytest.mark.parametrize("now", [LONG_AGO, FAR_AHEAD, SIGNED - timedelta(days=3000)])
def test_a_board_whose_clock_nobody_set_takes_what_is_not_expired_at_its_floor(
    now: datetime, scene: Scene, second: Files
) -> None:
    scene.board.clock.synchronized, scene.board.clock.now = False, now
    scene.accepts(second)
    assert not scene.board.checks.verified


def test_a_board_that_may_not_do_without_time_waits_for_it(scene: Scene, second: Files) -> None:
    scene.board.settings(require_time=True)
    scene.board.clock.synchronized = False
    offer(scene.fleet, second, 2)
    scene.refuses("waits for a time server")
    scene.board.clock.synchronized = True
    scene.accepts(second, 3)


def test_a_time_server_that_lies_about_the_future_delays_and_does_not_brick(
    scene: Scene, second: Files
) -> None:
    offer(scene.fleet, second, 2)
    right = scene.board.clock.now
    scene.board.clock.now = FAR_AHEAD
    assert scene.refuses("expired").expired
    scene.board.clock.now = right
    scene.accepts(second, 3)
    assert not scene.board.checks.expired


def test_what_failed_for_expiry_alone_is_tried_again_after_the_board_starts_without_a_clock(
    scene: Scene, second: Files
) -> None:
    """The floor was raised too far; the next time server's answer counts, not the floor."""
    offer(scene.fleet, second, 2)
    right = scene.board.clock.now
    scene.board.clock.now = FAR_AHEAD
    scene.refuses("expired")
    scene.board.clock.restart()
    scene.board.clock.synchronized, scene.board.clock.now = False, LONG_AGO
    scene.refuses("expired")
    scene.board.clock.synchronized, scene.board.clock.now = True, right
    scene.accepts(second, 3)


def test_a_clock_that_is_set_back_does_not_make_old_metadata_new(
    scene: Scene, second: Files
) -> None:
    """Without a time server the floor holds: it was raised by what was signed later."""
    scene.fleet.now += timedelta(days=20)
    offer(scene.fleet, second, 2)
    scene.board.clock.synchronized, scene.board.clock.now = False, LONG_AGO
    scene.accepts(scene.honest, 3)
    assert scene.board.checks.floor_s >= (SIGNED + timedelta(days=20)).timestamp()
    assert scene.board.progress.floor_s >= (SIGNED + timedelta(days=20)).timestamp()


# --- the floor itself -----------------------------------------------------------------------------


def dated(path: Path, when: datetime) -> Path:
    path.touch()
    os.utime(path, (when.timestamp(), when.timestamp()))
    return path


def test_the_floor_is_the_latest_that_is_known_to_be_past(tmp_path: Path) -> None:
    saved = dated(tmp_path / "saved", SIGNED)
    built = dated(tmp_path / "built", SIGNED - timedelta(days=9))
    clock = Clock(now=LONG_AGO, synchronized=False)
    clocks = clock.clocks(built, saved, tmp_path / "missing")
    assert floor.raised(0.0, clocks) == SIGNED.timestamp()
    later = (SIGNED + timedelta(days=1)).timestamp()
    assert floor.raised(0.0, clocks, [later, 5.0]) == later
    assert floor.raised(later + 1, clocks, [later]) == later + 1


def test_only_a_clock_that_was_set_raises_the_floor() -> None:
    clock = Clock(now=FAR_AHEAD, synchronized=False)
    assert floor.raised(7.0, clock.clocks()) == 7.0
    clock.synchronized = True
    assert floor.raised(7.0, clock.clocks()) == FAR_AHEAD.timestamp()


def test_the_floor_never_falls(scene: Scene) -> None:
    seen: list[tuple[float, float]] = []
    for now in (SIGNED, FAR_AHEAD, LONG_AGO, SIGNED + timedelta(days=40)):
        for synchronized in (True, False):
            scene.board.clock.now, scene.board.clock.synchronized = now, synchronized
            scene.board.turn()
            seen.append((scene.board.checks.floor_s, scene.board.progress.floor_s))
    assert seen == sorted(seen)


@pytest.mark.parametrize("unix_s", [-1e18, -1.0, 0.0, 1e18, float("inf")])
def test_no_time_is_too_odd_to_judge_by(unix_s: float) -> None:
    assert floor.Moment(unix_s, verified=True).time.tzinfo is UTC
    clocks = replace(Clock().clocks(), unix_s=lambda: unix_s)
    assert floor.raised(0.0, clocks) < 1e12


def test_uptime_goes_on_over_restarts_and_ignores_the_clock() -> None:
    clock = Clock(boot_s=100.0)
    uptime = Uptime().advanced(clock.clocks())
    clock.pass_by(hours=1)
    clock.now = LONG_AGO
    uptime = uptime.advanced(clock.clocks())
    assert uptime.total_s == 3700.0
    clock.restart()
    uptime = uptime.advanced(clock.clocks())
    assert uptime.total_s == 3720.0
    assert uptime.advanced(clock.clocks()) == uptime
