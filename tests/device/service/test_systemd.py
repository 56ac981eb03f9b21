"""Promises of what the service tells its manager: each message whole, and none without one."""

import socket
from pathlib import Path

import pytest

from device.service.systemd import Notifier


@pytest.mark.parametrize("address", ["@fieldguide-test", "{folder}/notify"])
def test_messages_reach_the_manager_s_socket(address: str, tmp_path: Path) -> None:
    address = address.format(folder=tmp_path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as link:
        link.bind(address.replace("@", "\0"))
        link.settimeout(5)
        notifier = Notifier({"NOTIFY_SOCKET": address})
        notifier.ready()
        notifier.status("two\nlines")
        for _ in range(3):
            notifier.feed_watchdog()
        notifier.stopping()
        got = [link.recv(4096).decode() for _ in range(4)]
    assert got == ["READY=1", "STATUS=two lines", "WATCHDOG=1", "STOPPING=1"]


def test_without_a_manager_or_with_a_dead_one_nothing_happens(tmp_path: Path) -> None:
    Notifier({}).ready()
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")}).feed_watchdog()
