"""The backgrounds of a place in a file, so that the service need not learn them after a restart.

The file is one line of JSON and then two arrays for each background, such as those by day and by
infrared light. A kill while it is written leaves the old one, and what is damaged, or was learned
by other rules, is not used.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from device.contract.look.cells import FULL, Grid
from device.contract.look.change import Background
from device.contract.look.place import MOST_SPREAD
from device.contract.look.rules import LookRules
from device.errors import BackgroundError
from device.files import read_headed, write_bytes

SCHEMA = 2
MAX_BYTES = 16 * 2**20
LITTLE = "<i2"
"""16-bit integers in the same order of bytes everywhere."""
LAYERS = 4
"""Red, green and blue of each cell, and how much it differs as a rule."""


@dataclass(frozen=True)
class Place:
    """What a background belongs to: with anything else it is of no use."""

    rules: LookRules
    region: tuple[float, float, float, float]
    """The part of the frame that is looked at: left, top, right, bottom, in fractions."""
    size_px: tuple[int, int]
    """Width and height of the frame's part, pixels."""

    @classmethod
    def of(
        cls,
        rules: LookRules,
        region: tuple[float, float, float, float],
        size_px: tuple[int, int],
    ) -> "Place":
        """The place, where rules that change nothing about a background may differ."""
        fresh = LookRules()
        same = replace(rules, absorb_s=fresh.absorb_s, most_boxes=fresh.most_boxes)
        return cls(same, region, size_px)

    def record(self) -> dict[str, Any]:
        """What identifies it, as a JSON object."""
        return {
            "rules": self.rules.sha256(),
            "region": [*self.region],
            "size_px": [*self.size_px],
        }


def write(path: Path, place: Place, backgrounds: Sequence[Background]) -> None:
    """Keep backgrounds; a kill or a power cut leaves a whole file, this one or the old one.

    Args:
        path: of the file.
        place: what they belong to.
        backgrounds: the one in use first; at least one.

    Raises:
        OSError: if it cannot be written.
    """
    layers = [np.concatenate([each.cells, each.spread[None]]) for each in backgrounds]
    data = np.stack(layers).astype(LITTLE).tobytes()
    digest = hashlib.sha256(data).hexdigest()
    head = {"fieldguide": SCHEMA, **place.record(), "sha256": digest}
    write_bytes(path, json.dumps(head).encode() + b"\n" + data)


def read(path: Path, place: Place) -> tuple[Background, ...]:
    """Read the backgrounds of a place; at least one.

    Raises:
        BackgroundError: if there is none, or it is damaged, or of another place.
        FileNotFoundError: if nothing was kept yet.
    """
    head, data = read_headed(path, MAX_BYTES, BackgroundError)
    for name, value in {"fieldguide": SCHEMA, **place.record()}.items():
        if head.get(name) != value:
            raise BackgroundError(f"{path}: {_WHY_OTHER.get(name, 'it is of another version')}")
    rows, columns = Grid.of(*place.size_px, place.rules).shape
    whole = data and len(data) % (2 * LAYERS * rows * columns) == 0
    if not whole or head.get("sha256") != hashlib.sha256(data).hexdigest():
        raise BackgroundError(f"{path}: damaged")
    found = np.frombuffer(data, LITTLE).astype(np.int16).reshape(-1, LAYERS, rows, columns)
    cells, spread = found[:, :3], found[:, 3]
    if found.min() < 0 or cells.max() > FULL or spread.max() > MOST_SPREAD:
        raise BackgroundError(f"{path}: no background")
    return tuple(Background(*each) for each in zip(cells, spread, strict=True))


_WHY_OTHER = {
    "rules": "it was learned by other rules",
    "region": "it is of another region",
    "size_px": "it is of frames of another size",
}
