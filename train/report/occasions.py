"""What the report says of the events and places of the photos."""

from collections.abc import Mapping
from dataclasses import dataclass

from device.workstation.training import DataSet, Part


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
    rows: tuple[tuple[str, tuple[int, ...]], ...]
    """For each class its events by part, then, if known, its places by part."""

    @classmethod
    def of(cls, data: DataSet) -> "Occasions":
        """Of the data that a network was made from."""
        places = any(any(_cells(counts)) for counts in data.places.values())
        rows = tuple(
            (label, _cells(data.events[label]) + (_cells(data.places[label]) if places else ()))
            for label in data.events
        )
        few = tuple(
            FewOccasions(label, len(Part) - more, more)
            for label, more in data.occasion_only.items()
        )
        return cls(few, _fewer(data), places, rows)


def _cells(counts: Mapping[str, int]) -> tuple[int, ...]:
    return tuple(counts[part] for part in Part)


def _fewer(data: DataSet) -> bool:
    """Whether a class has fewer events than photos in some part."""
    return any(_cells(data.events[label]) != _cells(data.counts[label]) for label in data.counts)
