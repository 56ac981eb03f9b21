"""Messages to the service manager (sd_notify(3)), as datagrams to the socket that it names."""

import logging
import os
import socket
import time
from collections.abc import Mapping

log = logging.getLogger("fieldguide")

WATCHDOG_INTERVAL_S = 1.0


class Notifier:
    """Tells systemd how the service is doing; does nothing if systemd did not ask."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        # A leading @ means the abstract namespace, whose addresses begin with NUL.
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._fed_s = float("-inf")

    def ready(self) -> None:
        """The service is up."""
        self.send("READY=1")

    def reloading(self) -> None:
        """Settings are being reloaded; `ready` ends that state."""
        self.send(
            f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}"
        )

    def stopping(self) -> None:
        """The service is shutting down."""
        self.send("STOPPING=1")

    def status(self, text: str) -> None:
        """One line for `systemctl status`."""
        self.send(f"STATUS={' '.join(text.split())}")

    def feed_watchdog(self) -> None:
        """Call this after a completed inference, and nowhere else."""
        if time.monotonic() - self._fed_s >= WATCHDOG_INTERVAL_S:
            self._fed_s = time.monotonic()
            self.send("WATCHDOG=1")

    def send(self, message: str) -> None:
        """Send one message; it is not an error if the manager does not listen."""
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as link:
                link.setblocking(False)
                link.sendto(message.encode(), self._address)
        except OSError as error:
            log.debug("sd_notify: %s", error)
