"""The rules of looking, as the contract stores them, and what a look can find."""

import enum
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from device.contract.arrays import Box
from device.errors import BundleError

MOST = 1_000_000


@dataclass(frozen=True)
class LookRules:
    """How background, change and box are found; whole numbers only."""

    columns: int = 96
    """Most cells beside one another; a cell is a square of frame pixels."""
    rows: int = 72
    """Most cells above one another."""
    least_difference: int = 32
    """A cell has changed if its colours, each 0 to 510, differ by this much in sum ..."""
    spreads: int = 2
    """... and by this many times what is usual for this cell, or by the least difference more than
    is usual, if that is less: among leaves."""
    peak_percent: int = 22
    """... and by this share of the strongest change of the same subject."""
    least_cells: int = 30
    """A subject has at least this many changed cells."""
    filled_percent: int = 30
    """A subject fills at least this share of its upright rectangle."""
    clear_percent: int = 150
    """A change is clear if it is this much of what makes a cell count as changed ..."""
    least_clear_cells: int = 8
    """... and a subject has at least so many cells that have clearly changed."""
    restless_clear_percent: int = 40
    """Where much is usual, at least this share of its cells has clearly changed: not in a gust."""
    most_regions: int = 6
    """A subject reaches into at most this many ninths of the picture; light reaches into all."""
    region_percent: int = 12
    """A ninth of the picture has changed if this share of its cells has."""
    most_percent: int = 50
    """A subject covers at most this share of the picture."""
    same_edges_percent: int = 72
    """If this share of edges still rises the same way, the light has changed, not the camera."""
    trim_percent: int = 2
    """This share of a subject's cells may lie outside on each side: a tail, a leaf."""
    margin_percent: int = 15
    """Added to each side of a box, as a share of its longer side."""
    least_side_percent: int = 20
    """The least side of a box, as a share of the frame's shorter side."""
    most_boxes: int = 1
    """How many subjects are told, the largest first."""
    tick_ms: int = 250
    """The background takes one step in this time, however many frames there are."""
    learn_ms: int = 10_000
    """How long a background is learned ..."""
    least_pictures: int = 5
    """... from at least this many pictures."""
    settle_ms: int = 1_500
    """A change of the whole picture that lasts this long makes it learn from the beginning."""
    ghost_ms: int = 10_000
    """A still change is looked at for this long before it is taken for an uncovered background."""
    absorb_s: int = 600
    """What has stayed this long belongs to the background."""

    def __post_init__(self) -> None:
        """Refuse what is no rule.

        Raises:
            BundleError: if a value is not a whole number of 1 to a million.
        """
        for field in fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MOST:
                raise BundleError(f"look: {field.name}={value!r} is not in 1..{MOST}")

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "LookRules":
        """Read the rules back from their JSON object.

        Raises:
            BundleError: on a missing, unknown or unsupported field.
        """
        names = {field.name for field in fields(cls)}
        given = record if isinstance(record, Mapping) else ()
        if set(given) != names:
            odd = ", ".join(map(repr, sorted(names.symmetric_difference(given))))
            raise BundleError(f"look record: fields missing or unknown: {odd}")
        return cls(**record)

    def record(self) -> dict[str, Any]:
        """The rules as a JSON object, in a fixed order."""
        return asdict(self)

    def sha256(self) -> str:
        """Hex digest of the canonical JSON of the rules; equal digests mean equal boxes."""
        canonical = json.dumps(self.record(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()


class Region(enum.StrEnum):
    """What of a picture a model was trained to see."""

    WHOLE = "whole"
    """The centred crop."""
    CHANGE = "change"
    """The box around what differs from the background of the place, where one is known."""


class Seen(enum.StrEnum):
    """What a look at one frame found."""

    LEARNING = "learning"
    """The background is not known yet: the camera has just begun, or its picture has changed."""
    NOTHING = "nothing"
    SOMETHING = "something"
    LIGHT = "light"
    """The whole picture has changed and shows the same things: light, or infrared."""
    MOVED = "moved"
    """The whole picture has changed and shows other things: the camera was moved."""


@dataclass(frozen=True)
class Outcome:
    """What a look at one frame found, and where."""

    seen: Seen
    boxes: tuple[Box, ...] = ()
    """Squares in frame pixels around what is there, the largest subject first; for SOMETHING."""
    changed_permille: int = 0
    """The share of the picture that differs from its background, 0 to 1000."""
