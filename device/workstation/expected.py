"""What to expect of other events, at the places of the photos and at new ones."""

from dataclasses import dataclass


@dataclass(frozen=True)
class SamePlaces:
    """What to expect of other events like these; from whole events held out in turn."""

    events: int
    """That were asked about, of all parts."""
    accuracy: float
    interval: tuple[float, float]
    """95%, by event."""
    without: tuple[str, ...]
    """Classes with a single event, which the estimate is not about."""


@dataclass(frozen=True)
class AtPlaces:
    """Accuracy expected at a new place if this many places teach."""

    places: int
    accuracy: float


@dataclass(frozen=True)
class NewPlaces:
    """What to expect at a place that has no photo in the data; from places held out in turn."""

    places: int
    events: int
    accuracy: float
    interval: tuple[float, float]
    """95%, by place: for the average over other places of this kind."""
    curve: tuple[AtPlaces, ...]
    """By number of places, up to one fewer than there are."""
    twice: float
    """Accuracy at a new place if twice as many teach."""
    enough: int | None
    """From about how many places on a new one is hardly worse; None if the curve cannot say."""
