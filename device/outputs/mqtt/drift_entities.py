"""What Home Assistant makes of drift: a problem for each family, and the estimated accuracy."""

from collections.abc import Mapping
from typing import Any

from device.drift.sample import Family
from device.drift.status import DriftStatus

NAMES = {
    Family.CAMERA: "Camera changed",
    Family.WORLD: "World changed",
    Family.CONFIDENCE: "Less sure than usual",
    Family.PLACE: "Unlike its training photos",
}


def entities(topics: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """The components of the announcement.

    Args:
        topics: of `availability` and `drift`.
    """
    common = {"avty_t": topics["availability"], "stat_t": topics["drift"], "ent_cat": "diagnostic"}
    problems = {
        f"drift_{family}": {
            **common,
            "p": "binary_sensor",
            "name": NAMES[family],
            "dev_cla": "problem",
            "val_tpl": f"{{{{ 'ON' if value_json.{family}.alarm else 'OFF' }}}}",
            "json_attr_t": topics["drift"],
            "json_attr_tpl": f"{{{{ value_json.{family} | tojson }}}}",
        }
        for family in Family
    }
    accuracy = {
        **common,
        "p": "sensor",
        "name": "Estimated accuracy",
        "ic": "mdi:bullseye-arrow",
        "unit_of_meas": "%",
        "stat_cla": "measurement",
        # "None" is Home Assistant's word for a state that is not known.
        "val_tpl": "{{ value_json.accuracy }}",
    }
    return {**problems, "accuracy": accuracy}


def record(status: DriftStatus) -> dict[str, Any]:
    """The message; it changes once a day at most, because each change adds rows to a database."""
    found: dict[str, Any] = {
        family.value: {
            "alarm": family in status.alarms,
            "since": status.families[family].since if family in status.families else "",
            "why": status.families[family].why if family in status.families else "",
            "cure": status.families[family].cure if family in status.families else "",
        }
        for family in Family
    }
    is_told = status.accuracy is not None and status.is_accuracy_valid
    accuracy = round(100 * status.accuracy.mean, 1) if is_told and status.accuracy else None
    return {**found, "accuracy": accuracy, "learned_days": status.learned_days}
