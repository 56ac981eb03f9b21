"""A card with its owner's settings, and questions to the board that it is in."""

import json
from pathlib import Path
from typing import Any

from device.image import disk
from device.image.identity import Identity, seed
from tests.emulated.support.qemu_board import PATIENCE_S, Board
from tests.support.places import BUILD

IMAGE = BUILD / "image" / "fieldguide.img"
COMMAND = "/opt/fieldguide/venv/bin/fieldguide"
TOKEN = "0123456789abcdef0123"
USER, HOSTNAME = "gardener", "hedge"
LABELLED = r'fieldguide\[\d+\]: (\{.*"label".*\})'
"""A JSON line of the journal on the console."""

SLOW = {
    "fieldguide": "[Service]\nTimeoutStartSec=1200\nWatchdogSec=300\n",
    "fieldguide-install": "[Service]\nTimeoutStartSec=1200\n",
}
"""What emulation needs that a board does not: an inference takes a second or more, and the
self-test a minute and more while other work runs beside. The image keeps the units' times."""


def owned(card: Path, key: Path, each_boot: str = "", **settings: str) -> None:
    """Write the owner's settings on a card, and patience with an emulated board.

    Args:
        card: the card.
        key: the owner's private key, beside the public one.
        each_boot: a command.
        settings: more fields of the board's `Identity`.
    """
    public = key.with_suffix(".pub").read_text().strip()
    given = {"hostname": HOSTNAME, "user": USER, "ssh_key": public, "web_token": TOKEN}
    files = seed(Identity(**{**given, **settings}), each_boot)  # type: ignore[arg-type]
    heading, _, rest = files["user-data"].partition("\n")
    data = json.loads(rest)
    data["write_files"][0]["content"] += "[inference]\nload_timeout_s = 600.0\n"
    for unit, content in SLOW.items():
        path = f"/etc/systemd/system/{unit}.service.d/emulation.conf"
        data["write_files"].append({"path": path, "content": content})
    data["runcmd"].insert(0, ["systemctl", "daemon-reload"])
    files["user-data"] = f"{heading}\n{json.dumps(data)}\n"
    disk.write_texts(card, files)


def settled(board: Board) -> None:
    """The first boot's settings are in place, and the service runs with them."""
    board.run("cloud-init status --wait || true")
    board.run(active_within(PATIENCE_S))


def active_within(seconds: float) -> str:
    """A command that waits until the service runs."""
    return (
        f"for i in $(seq {int(seconds)}); do systemctl is-active -q fieldguide && exit 0; "
        "sleep 1; done; systemctl status fieldguide; exit 1"
    )


def verified(board: Board) -> dict[str, Any]:
    """The current slot, all its bytes compared with its manifest, its outputs with the golden."""
    # The shell is there before the data are.
    board.run("until mountpoint -q /var/lib/fieldguide; do sleep 1; done")
    slots: list[dict[str, Any]] = json.loads(board.run(f"{COMMAND} slots status --json"))
    (current,) = [slot for slot in slots if slot["current"]]
    assert current["problem"] == ""
    board.run(f"{COMMAND} selftest --bundle /var/lib/fieldguide/current")
    return current
