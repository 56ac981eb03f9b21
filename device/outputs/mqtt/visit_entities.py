"""What Home Assistant makes of visits: an event, counters of today, and the last picture."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

MAX_COUNTED = 50
"""A model with more classes has no counter for each of them, only one for all."""


def entities(
    topics: Mapping[str, str], told: Mapping[str, str], otherwise: str, *, pictures: bool
) -> dict[str, dict[str, Any]]:
    """The components of the announcement.

    Args:
        topics: of `availability`, `visits`, `today` and `picture`.
        told: the word for each label that a visit can have.
        otherwise: the word for a label of another model.
        pictures: whether there is a picture of the last visit.
    """
    found = {
        "visit": _event(topics, told, otherwise),
        "today": _total(topics),
    }
    if len(told) <= MAX_COUNTED:
        found |= {_key(label): _counter(topics, label, word) for label, word in told.items()}
    if pictures:
        found["picture"] = {
            "p": "image",
            "name": "Last visit",
            "avty_t": topics["availability"],
            "img_t": topics["picture"],
            "cont_type": "image/jpeg",
        }
    return found


def _event(topics: Mapping[str, str], told: Mapping[str, str], otherwise: str) -> dict[str, Any]:
    names = json.dumps(told, ensure_ascii=False)
    fields = ", ".join(f"'{name}': value_json.{name}" for name in ("start", "end", "score", "why"))
    return {
        "p": "event",
        "name": "Visit",
        "ic": "mdi:paw",
        "avty_t": topics["availability"],
        "stat_t": topics["visits"],
        "evt_typ": [*dict.fromkeys([*told.values(), otherwise])],
        "val_tpl": (
            f"{{{{ {{'event_type': {names}.get(value_json.label, {json.dumps(otherwise)}), "
            f"'id': value_json.visit, {fields}, 'top': value_json.top, "
            "'duration_s': (value_json.end - value_json.start) | round(1)} | tojson }}"
        ),
    }


def _total(topics: Mapping[str, str]) -> dict[str, Any]:
    return {
        **_today(topics),
        "name": "Visits today",
        "val_tpl": "{{ value_json.visits }}",
        "json_attr_t": topics["today"],
        "json_attr_tpl": "{{ value_json.labels | tojson }}",
    }


def _counter(topics: Mapping[str, str], label: str, word: str) -> dict[str, Any]:
    count = f"{{{{ value_json.labels.get({json.dumps(label, ensure_ascii=False)}, 0) }}}}"
    return {**_today(topics), "name": f"{word} today", "val_tpl": count}


def _today(topics: Mapping[str, str]) -> dict[str, Any]:
    # Midnight sets it back to 0, which a growing total allows.
    return {
        "p": "sensor",
        "ic": "mdi:counter",
        "unit_of_meas": "visits",
        "stat_cla": "total_increasing",
        "avty_t": topics["availability"],
        "stat_t": topics["today"],
    }


def _key(label: str) -> str:
    """A key that stays the same for a class whatever other classes there are."""
    return f"today_{hashlib.sha256(label.encode()).hexdigest()[:8]}"
