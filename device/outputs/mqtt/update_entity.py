"""What Home Assistant makes of releases: an update that it can install, and the last check."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from device.contract.release.naming import SOFTWARE
from device.outputs.sink import Updating
from device.telemetry.updates import ReleaseStatus, UpdateStatus

INSTALL = "install"
"""What Home Assistant sends when somebody wants the release."""


def entities(topics: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """The components of the announcement.

    Args:
        topics: of `availability`, `update` and `install`.
    """
    common = {"avty_t": topics["availability"], "stat_t": topics["update"]}
    wish = {"ent_cat": "config", "cmd_t": topics["install"], "pl_inst": INSTALL}
    # The whole of a message would also be taken apart, and its other fields refused.
    parts = {"update": ("Model", "release"), "update_software": ("Software", "software")}
    return {
        **{
            key: {
                **common,
                **wish,
                "p": "update",
                "name": name,
                "val_tpl": f"{{{{ value_json.{part} | tojson }}}}",
            }
            for key, (name, part) in parts.items()
        },
        "update_checked": {
            **common,
            "p": "sensor",
            "name": "Last check for updates",
            "dev_cla": "timestamp",
            "ent_cat": "diagnostic",
            "val_tpl": "{{ value_json.checked }}",
            "json_attr_t": topics["update"],
            "json_attr_tpl": "{{ value_json.about | tojson }}",
        },
    }


def obey(message: str, updating: Callable[[], Updating | None] | None) -> None:
    """Pass on what Home Assistant sent.

    Raises:
        OutputError: if the wish cannot be written down.
    """
    sink = updating() if updating else None
    if message == INSTALL and sink is not None:
        sink.install_update()


def record(status: UpdateStatus) -> dict[str, Any]:
    """The message: the release as Home Assistant wants it, and what is known of the last check."""
    checked = datetime.fromtimestamp(status.checked_unix_s, UTC) if status.checked_unix_s else None
    return {
        "release": _release(status.name, status),
        "software": _release(SOFTWARE, status.software),
        # "None" is Home Assistant's word for a state that is not known.
        "checked": checked and checked.isoformat(timespec="seconds"),
        "about": {
            "source": status.source,
            "away": status.away,
            "unknown_group": status.unknown_group,
            "stage": status.stage,
            "doing": status.doing,
            "time_verified": status.verified,
            "expired": status.expired,
            "frozen": status.frozen,
            "problem": status.problem,
            "led_back": list(status.failed),
            "software": asdict(status.software),
        },
    }


def _release(name: str, status: ReleaseStatus) -> dict[str, Any]:
    numbers = (status.installed, max(status.latest, status.installed))
    installed, newest = (f"{name}/{number}" if number else "none" for number in numbers)
    return {
        "installed_version": installed,
        "latest_version": newest,
        "title": name,
        "release_summary": status.doing or (status.waits and f"waits for {status.waits}"),
        "in_progress": status.stage in ("installing", "trial"),
    }
