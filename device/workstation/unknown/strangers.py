"""What becomes of pictures that show none of the classes."""

from dataclasses import dataclass

Interval = tuple[float, float]
"""95%, by event."""
Real = float
"""The type float, for classes below with a field of that name."""


@dataclass(frozen=True)
class TurnedFigures:
    """What becomes of pictures that show none of the classes."""

    n: int
    events: int
    """Occasions at which these pictures were taken."""
    rejected: float
    """The share that is called unknown."""
    interval: Interval
    auroc: float
    """Probability that one of these pictures is stranger than a known photo."""
    auroc_interval: Interval
    by_score: float
    """The share that would be called unknown if the score alone decided, and turned away as many
    validation photos."""
    by_score_auroc: float
    by_score_auroc_interval: Interval


@dataclass(frozen=True)
class NamedStranger:
    """A picture that shows none of the classes, and gets a label all the same."""

    picture: str
    """Which of the rendered ones, or the path of the user's own."""
    label: str
    score: float
    distance: float


@dataclass(frozen=True)
class LeftOutClass:
    """One class as the stranger to the others: the last layer and the limits do without it."""

    label: str
    kept: float
    """The share of test photos of the other classes that get a label."""
    turned: TurnedFigures
    """What becomes of its own held-out photos."""


@dataclass(frozen=True)
class OwnFigures:
    """What becomes of the user's own pictures that show none of the classes (`_other`)."""

    taught: int
    """Pictures that taught what is unknown; the figures are of others."""
    int8: TurnedFigures
    float: TurnedFigures
    named: tuple[NamedStranger, ...]
    """Those that get a label from int8, the least strange first; not all of them if many."""

    def claim(self) -> "OwnClaim":
        """What the manifest says of it."""
        return OwnClaim(
            self.taught,
            self.int8.n,
            self.int8.events,
            self.int8.rejected,
            self.int8.interval,
            self.float.rejected,
            self.float.interval,
        )


@dataclass(frozen=True)
class OwnClaim:
    """What a bundle's manifest claims about the user's own strangers."""

    taught: int
    n: int
    """Pictures that taught nothing; the figures are of these."""
    events: int
    int8: Real
    """The share that is called unknown."""
    int8_interval: Interval
    float: Real
    float_interval: Interval
