"""Whose board it is: host name, user, ssh key, Wi-Fi and web page, as cloud-init takes them.

Raspberry Pi OS and this project's image read the same files from the boot partition at their
first boot. They hold secrets in clear text, as long as the card is in a pocket.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from device.image.errors import ImageError

HOSTNAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
USER = re.compile(r"[a-z][a-z0-9_-]{0,31}")
TAKEN = ("root", "fieldguide", "daemon", "nobody")
SSH_KEY = re.compile(r"(ssh|ecdsa|sk)-[a-z0-9@.-]+ AAAA[A-Za-z0-9+/=]+( [^\n]*)?")
COUNTRY = re.compile(r"[A-Z]{2}")
SHORTEST_TOKEN = 16

Json = dict[str, Any]


@dataclass(frozen=True)
class Identity:
    """What sets one board apart from the next with the same image."""

    hostname: str = "fieldguide"
    user: str = "pi"
    ssh_key: str = ""
    wifi_ssid: str = ""
    wifi_password: str = ""
    wifi_country: str = ""
    web_token: str = ""

    def __post_init__(self) -> None:
        """Check what the first boot would only complain about on a screen that nobody watches.

        Raises:
            ImageError: naming the variable to change.
        """
        for problem in self._problems():
            raise ImageError(problem)

    def _problems(self) -> list[str]:
        checks = {
            "IMAGE_HOSTNAME: small letters, digits and dashes, at most 63": HOSTNAME.fullmatch(
                self.hostname
            ),
            f"IMAGE_USER: small letters and digits, and none of {', '.join(TAKEN)}": (
                USER.fullmatch(self.user) and self.user not in TAKEN
            ),
            "SSH_KEY: a public key, or a file with one": (
                not self.ssh_key or SSH_KEY.fullmatch(self.ssh_key)
            ),
            "WIFI_SSID: at most 32 bytes": len(self.wifi_ssid.encode()) <= 32,
            "WIFI_PASSWORD: 8 to 63 characters, with a WIFI_SSID": (
                not self.wifi_password or (8 <= len(self.wifi_password) <= 63 and self.wifi_ssid)
            ),
            "WIFI_COUNTRY: two capital letters, and needed for Wi-Fi": (
                COUNTRY.fullmatch(self.wifi_country) or not (self.wifi_country or self.wifi_ssid)
            ),
            f"WEB_TOKEN: at least {SHORTEST_TOKEN} letters and digits": (
                not self.web_token
                or (self.web_token.isalnum() and len(self.web_token) >= SHORTEST_TOKEN)
            ),
        }
        return [problem for problem, passed in checks.items() if not passed]


def of_environment(environment: Mapping[str, str]) -> Identity:
    """Read the variables of the Makefile; those that are empty keep their default.

    Raises:
        ImageError: if one cannot be.
    """
    names = {
        "hostname": "IMAGE_HOSTNAME",
        "user": "IMAGE_USER",
        "ssh_key": "SSH_KEY",
        "wifi_ssid": "WIFI_SSID",
        "wifi_password": "WIFI_PASSWORD",
        "wifi_country": "WIFI_COUNTRY",
        "web_token": "WEB_TOKEN",
    }
    given = {field: environment.get(name, "") for field, name in names.items()}
    given["ssh_key"] = _ssh_key(given["ssh_key"])
    return Identity(**{field: value for field, value in given.items() if value})


def _ssh_key(given: str) -> str:
    if not given or " " in given:
        return given.strip()
    try:
        return Path(given).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise ImageError(
            f"SSH_KEY: {given} cannot be read: a public key, or a file with one"
        ) from None


def seed(identity: Identity, each_boot: str = "") -> dict[str, str]:
    """Files for the boot partition, by name; each boot begins with the command `each_boot`.

    An instance that cloud-init does not know yet makes it work once; so the same settings give
    the same instance.
    """
    user = _yaml("#cloud-config", _user_data(identity, each_boot))
    network = _yaml("# netplan", _network(identity))
    known = hashlib.sha256((user + network).encode()).hexdigest()[:16]
    return {
        "user-data": user,
        "network-config": network,
        "meta-data": _yaml("# cloud-init", {"instance-id": f"fieldguide-{known}"}),
    }


def _yaml(heading: str, data: Json) -> str:
    """JSON is YAML, and quotes what YAML would guess at; but an emoji must not be escaped."""
    return f"{heading}\n{json.dumps(data, indent=2, ensure_ascii=False)}\n"


def _user_data(identity: Identity, each_boot: str) -> Json:
    user: Json = {
        "name": identity.user,
        "groups": ["sudo", "video", "adm"],
        "shell": "/bin/bash",
        "sudo": "ALL=(ALL) NOPASSWD:ALL",
        "lock_passwd": True,
    }
    if identity.ssh_key:
        user["ssh_authorized_keys"] = [identity.ssh_key]
    data: Json = {
        "hostname": identity.hostname,
        "manage_etc_hosts": True,
        "ssh_pwauth": False,
        "users": [user],
    }
    commands = []
    if each_boot:
        data["bootcmd"] = [["sh", "-c", each_boot]]
        if identity.ssh_key:
            # A stock system has a server that does not run.
            commands += [["systemctl", "enable", "ssh"]]
            commands += [["systemctl", "start", "--no-block", "ssh"]]
    if identity.web_token:
        data["write_files"] = [_settings(identity.web_token)]
        commands += [["systemctl", "restart", "--no-block", "fieldguide"]]
    if commands:
        data["runcmd"] = commands
    return data


def _settings(token: str) -> Json:
    return {
        "path": "/etc/fieldguide/fieldguide.toml",
        "permissions": "0640",
        "owner": "root:fieldguide",
        "defer": True,
        "content": "\n".join(
            [
                "# All settings: /opt/fieldguide/venv/lib/python3*/site-packages/device/*.toml",
                "[output.web]",
                "enabled = true",
                'address = "0.0.0.0"',
                f'token = "{token}"',
                "",
                "[output.prometheus]",
                "enabled = true",
                'address = "0.0.0.0"',
                f'token = "{token}"',
                "",
            ]
        ),
    }


def _network(identity: Identity) -> Json:
    """A board in a garden starts without a network: each interface is optional."""
    network: Json = {
        "version": 2,
        "ethernets": {"wired": {"match": {"name": "e*"}, "dhcp4": True, "optional": True}},
    }
    if identity.wifi_ssid:
        point = {"password": identity.wifi_password} if identity.wifi_password else {}
        network["wifis"] = {
            "wlan0": {
                "dhcp4": True,
                "optional": True,
                "regulatory-domain": identity.wifi_country,
                "access-points": {identity.wifi_ssid: point},
            }
        }
    return {"network": network}
