"""What the report says of the events and places of the photos."""

from collections.abc import Mapping
from dataclasses import dataclass

from device.workstation.training import DataSet, Part

Cells = tuple[int, ...]
"""Counts by part."""


@dataclass(frozen=True)
class FewOccasions:
    """A class that was photographed on too few occasions to be judged by others."""

    label: str
    occasions: int
    more: int
    """How many are missing."""


@dataclass(frozen=True)
class Occasions:
    """The events and places of a data set, as the page shows them."""

    few: tuple[FewOccasions, ...]
    """Classes whose figures hold for their own occasions only."""
    bursts: bool
    """Whether some events have more than one photo."""
    places: bool
    """Whether a place is known."""
    tables: tuple[tuple[str, tuple[tuple[str, Cells], ...]], ...]
    """What is counted, and its counts by class and part; nothing that goes without saying."""

    @classmethod
    def of(cls, data: DataSet) -> "Occasions":
        """Of the data that a network was made from."""
        photos, events, places = (
            tuple((label, tuple(parts[part] for part in Part)) for label, parts in counts.items())
            for counts in (data.counts, data.events, data.places)
        )
        known = any(any(cells) for _, cells in places)
        shown = {"Events": events} if known or events != photos else {}
        shown |= {"Places": places} if known else {}
        return cls(_few(data.occasion_only), events != photos, known, tuple(shown.items()))


def _few(missing: Mapping[str, int]) -> tuple[FewOccasions, ...]:
    return tuple(FewOccasions(label, len(Part) - more, more) for label, more in missing.items())
