"""Which board this is: its host name, and what tells boards of one host name apart."""

import hashlib
import hmac
import platform
import re
from contextlib import suppress
from pathlib import Path

from device.contract.moments import USUAL_HOSTS

MACHINE_ID = Path("/etc/machine-id")


def machine() -> str:
    """8 hex digits that identify this installation; empty if it has no machine id.

    Derived like systemd's application-specific ids, because the machine id itself should not be
    revealed.
    """
    with suppress(OSError):
        text = MACHINE_ID.read_bytes().strip()
        if re.fullmatch(rb"[0-9a-f]{32}", text):
            return hmac.new(text, b"fieldguide.mqtt", hashlib.sha256).hexdigest()[:8]
    return ""


def board_name() -> str:
    """The host name; one that many boards have, such as "raspberrypi", with `machine` behind it."""
    host = platform.node()
    own = machine() if host.lower() in USUAL_HOSTS else ""
    return "-".join(filter(None, (host, own)))
