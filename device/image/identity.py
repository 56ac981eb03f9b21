"""A board's identity for cloud-init: host name, user, ssh key, Wi-Fi and web token.

Raspberry Pi OS and this project's image read the same files from the boot partition at their
first boot. The files hold secrets in clear text: whoever has the card can read them.
"""

import device.interrupt  # noqa: F401

import hashlib
import json
import os
import re
import sys
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from device.console import guarded
from device.contract.release.naming import is_name
from device.errors import ConfigError
from device.image.errors import ImageError
from device.settings.update import UpdateConfig, check_update

HOSTNAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
USER = re.compile(r"[a-z][a-z0-9_-]{0,31}")
SYSTEM_NAMES = """
adm audio backup bin cdrom daemon dialout dip disk fax floppy games irc kmem list lp mail man news
nobody nogroup operator plugdev proxy root sasl shadow src staff sudo sync sys tape tty users utmp
uucp video voice www-data
avahi bluetooth clock colord crontab dhcpcd dnsmasq geoclue gnats gpio i2c input kvm lightdm lpadmin
messagebus netdev ntpsec pipewire polkitd pulse rdma render rtkit saned sgx spi ssh sshd ssl-cert
statd tcpdump tss usbmux uuidd vnc wheel
apex fieldguide
"""
"""Users and groups that Debian starts with (passwd.master and group.master of base-passwd), that
packages of the image, of Raspberry Pi OS or of a desktop create, and ours. cloud-init does not
change an existing user, and useradd refuses the name of a group: either way nobody could log in."""
TAKEN_PREFIXES = ("systemd-", "nm-")
SSH_KEY = re.compile(r"(ssh|ecdsa|sk)-[a-z0-9@.-]+ AAAA[A-Za-z0-9+/=]+( [^\n]*)?")
COUNTRY = re.compile(r"[A-Z]{2}")
EVERY_NETWORK = "0.0.0.0"
RAW_KEY = re.compile(r"[0-9A-Fa-f]{64}")
"""The network key that routers show; netplan passes it on unchanged."""
UNSAFE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
"""Characters that YAML reads as line ends, or refuses, and that JSON does not escape."""

Json = dict[str, Any]


@dataclass(frozen=True)
class Identity:
    """What differs between boards with the same image."""

    hostname: str = "fieldguide"
    user: str = "pi"
    ssh_key: str = ""
    wifi_ssid: str = ""
    wifi_password: str = ""
    wifi_country: str = ""
    wifi_hidden: bool = False
    """Whether the network hides its name, so that the board must ask for it by name."""
    web_token: str = ""
    update_url: str = ""
    """The folder of signed releases that the board fetches; empty: none."""
    update_name: str = ""
    update_group: str = ""
    update_root: str = ""
    """The text of the folder's first root metadata."""

    def __post_init__(self) -> None:
        """Check what would otherwise fail at the first boot, on a screen that nobody watches.

        Raises:
            ImageError: naming the variable to change.
        """
        for problem in self._problems():
            raise ImageError(problem)
        if self.web_token:
            _check_token(self.web_token)
        if self.update_url:
            _check_update(self.update_url, self.update_name)

    def _problems(self) -> list[str]:
        checks = {
            "IMAGE_HOSTNAME: lower-case letters, digits and dashes, at most 63": HOSTNAME.fullmatch(
                self.hostname
            ),
            "IMAGE_USER: lower-case letters and digits, beginning with a letter": USER.fullmatch(
                self.user
            ),
            f"IMAGE_USER: {self.user} is already a user or group of the system: choose another": (
                self.user not in SYSTEM_NAMES.split() and not self.user.startswith(TAKEN_PREFIXES)
            ),
            "SSH_KEY: a public key, or a file with one": (
                not self.ssh_key or SSH_KEY.fullmatch(self.ssh_key)
            ),
            "WIFI_SSID: at most 32 bytes, without control characters": (
                len(self.wifi_ssid.encode()) <= 32 and not _has_controls(self.wifi_ssid)
            ),
            "WIFI_PASSWORD: a password of 8 to 63 bytes without control characters, or a key of 64 "
            "hexadecimal digits": not self.wifi_password or _is_password(self.wifi_password),
            "WIFI_PASSWORD: for which network? Set WIFI_SSID": (
                self.wifi_ssid or not self.wifi_password
            ),
            "WIFI_HIDDEN: which network? Set WIFI_SSID": self.wifi_ssid or not self.wifi_hidden,
            "UPDATE_URL: set UPDATE_ROOT, too: who may sign?": (
                self.update_root or not self.update_url
            ),
            "UPDATE_NAME: up to 32 of a-z, 0-9 and -, such as birds": (
                is_name(self.update_name) or not self.update_name
            ),
            "UPDATE_GROUP: up to 32 of a-z, 0-9 and -, such as garden": (
                is_name(self.update_group) or not self.update_group
            ),
            "WIFI_COUNTRY: two capital letters; Wi-Fi needs it": (
                COUNTRY.fullmatch(self.wifi_country) or not (self.wifi_country or self.wifi_ssid)
            ),
        }
        return [problem for problem, passed in checks.items() if not passed]


def _check_token(token: str) -> None:
    """Make the service's own check, which would otherwise fail at its first start."""
    # Late: `make` looks at all else before any package is installed.
    from device.settings import sections
    from device.settings.sections import WebConfig

    try:
        sections.check_server("web", WebConfig(enabled=True, address=EVERY_NETWORK, token=token))
    except ConfigError as error:
        raise ImageError(str(error).replace("web.token", "WEB_TOKEN")) from None


def _check_update(url: str, name: str) -> None:
    try:
        check_update(UpdateConfig(enabled=True, url=url, name=name))
    except ConfigError as error:
        said = str(error).replace("update.url", "UPDATE_URL").replace("update.name", "UPDATE_NAME")
        raise ImageError(said) from None


def _has_controls(text: str) -> bool:
    return any(unicodedata.category(letter) == "Cc" for letter in text)


def _is_password(text: str) -> bool:
    """Whether wpa_supplicant accepts it, as a password or as the key derived from one."""
    if RAW_KEY.fullmatch(text):
        return True
    return 8 <= len(text.encode()) <= 63 and not _has_controls(text)


def from_environment(environment: Mapping[str, str]) -> Identity:
    """Read the variables of the Makefile; empty ones keep their default.

    Raises:
        ImageError: if one is not valid.
    """
    names = {
        "hostname": "IMAGE_HOSTNAME",
        "user": "IMAGE_USER",
        "ssh_key": "SSH_KEY",
        "wifi_ssid": "WIFI_SSID",
        "wifi_password": "WIFI_PASSWORD",
        "wifi_country": "WIFI_COUNTRY",
        "web_token": "WEB_TOKEN",
        "update_url": "UPDATE_URL",
        "update_name": "UPDATE_NAME",
        "update_group": "UPDATE_GROUP",
        "update_root": "UPDATE_ROOT",
    }
    given = {field: _text(environment, name) for field, name in names.items()}
    given["ssh_key"] = _ssh_key(given["ssh_key"])
    given["update_root"] = _root_metadata(given["update_root"])
    texts = {field: value for field, value in given.items() if value}
    return Identity(**texts, wifi_hidden=_flag(environment, "WIFI_HIDDEN"))


def check_updates(environment: Mapping[str, str]) -> None:
    """Refuse what says which releases a board fetches, as `make deploy` writes it there.

    Raises:
        ImageError: if it is not valid.
    """
    for name in ("UPDATE_NAME", "UPDATE_GROUP"):
        text = _text(environment, name)
        if text and not is_name(text):
            raise ImageError(f"{name}: up to 32 of a-z, 0-9 and -, such as birds")
    if url := _text(environment, "UPDATE_URL"):
        _check_update(url, _text(environment, "UPDATE_NAME"))
    _root_metadata(_text(environment, "UPDATE_ROOT"))


def _text(environment: Mapping[str, str], name: str) -> str:
    text = environment.get(name, "")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ImageError(f"{name}: not UTF-8: type it in a terminal that uses UTF-8") from None
    return text


def _root_metadata(given: str) -> str:
    """The text of the file, which must be JSON: nobody watches the first boot."""
    try:
        text = Path(given).read_text(encoding="utf-8") if given else ""
        return text if not text or isinstance(json.loads(text), dict) else ""
    except (OSError, ValueError):
        raise ImageError(f"UPDATE_ROOT: {given} is not root metadata, 1.root.json") from None


def _flag(environment: Mapping[str, str], name: str) -> bool:
    text = environment.get(name, "")
    if text not in ("", "0", "1"):
        raise ImageError(f"{name}: write 1, or 0 or nothing")
    return text == "1"


def _ssh_key(given: str) -> str:
    if not given or " " in given:
        return given.strip()
    try:
        return Path(os.path.expanduser(given)).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise ImageError(
            f"SSH_KEY: {given} cannot be read: a public key, or a file with one"
        ) from None


def seed(identity: Identity, each_boot: str = "") -> dict[str, str]:
    """Files for the boot partition, by name; each boot begins with the command `each_boot`.

    cloud-init applies the settings once for each instance id, so the id depends on the settings.
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
    """JSON is valid YAML, and quotes everything; but emoji and the like must not be escaped."""
    text = json.dumps(data, indent=2, ensure_ascii=False)
    return f"{heading}\n{UNSAFE.sub(_escaped, text)}\n"


def _escaped(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


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
            # A stock system has an ssh server, but it is not enabled.
            commands += [["systemctl", "enable", "ssh"]]
            commands += [["systemctl", "start", "--no-block", "ssh"]]
    if identity.web_token or identity.update_url:
        data["write_files"] = [_settings(identity), *_root_file(identity)]
        commands += [["systemctl", "restart", "--no-block", "fieldguide"]]
    if commands:
        data["runcmd"] = commands
    return data


def _settings(identity: Identity) -> Json:
    lines = ["# All settings: /opt/fieldguide/venv/lib/python3*/site-packages/device/*.toml"]
    if identity.web_token:
        lines += _web_settings(identity.web_token)
    if identity.update_url:
        lines += _update_settings(identity)
    return {
        "path": "/etc/fieldguide/fieldguide.toml",
        "permissions": "0640",
        "owner": "root:fieldguide",
        "defer": True,
        "content": "\n".join(lines),
    }


def _web_settings(token: str) -> list[str]:
    # JSON quotes strings like TOML.
    quoted = json.dumps(token)
    listens = ["enabled = true", f'address = "{EVERY_NETWORK}"', f"token = {quoted}", ""]
    return ["[output.web]", *listens, "[output.prometheus]", *listens]


def _update_settings(identity: Identity) -> list[str]:
    texts = {"url": identity.update_url, "name": identity.update_name}
    if identity.update_group:
        texts["group"] = identity.update_group
    quoted = [f"{key} = {json.dumps(text)}" for key, text in texts.items()]
    return ["[update]", "enabled = true", *quoted, ""]


def _root_file(identity: Identity) -> list[Json]:
    """Who may sign releases."""
    if not identity.update_root:
        return []
    return [
        {
            "path": "/etc/fieldguide-update/root.json",
            "permissions": "0644",
            "owner": "root:root",
            "defer": True,
            "content": identity.update_root,
        }
    ]


def _network(identity: Identity) -> Json:
    """Every interface is optional, so that a board without a network still boots quickly."""
    network: Json = {
        "version": 2,
        "ethernets": {"wired": {"match": {"name": "e*"}, "dhcp4": True, "optional": True}},
    }
    if identity.wifi_ssid:
        point: Json = {"password": identity.wifi_password} if identity.wifi_password else {}
        if identity.wifi_hidden:
            point["hidden"] = True
        network["wifis"] = {
            "wlan0": {
                "dhcp4": True,
                "optional": True,
                "regulatory-domain": identity.wifi_country,
                "access-points": {identity.wifi_ssid: point},
            }
        }
    return {"network": network}


def main(arguments: list[str]) -> int:
    """Check what needs no packages, for `make image` or `make deploy`; returns the exit status."""

    def work() -> int:
        if arguments == ["deploy"]:
            check_updates(os.environ)
        else:
            from_environment({**os.environ, "WEB_TOKEN": ""})
        return 0

    return guarded(work)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
