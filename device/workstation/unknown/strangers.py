"""What becomes of pictures that show none of the classes."""

from dataclasses import dataclass

Interval = tuple[float, float]
"""95%."""


@dataclass(frozen=True)
class ClutterFigures:
    """What becomes of pictures that show none of the classes."""

    n: int
    rejected: float
    """The share that is called unknown."""
    interval: Interval
    auroc: float
    """Probability that one of these pictures is stranger than a test photo."""
    by_score: float
    """The share that would be called unknown if the score alone decided, and turned away as many
    validation photos."""
    by_score_auroc: float


@dataclass(frozen=True)
class NamedStranger:
    """A picture that shows none of the classes, and gets a label all the same."""

    picture: str
    """Which of the rendered ones."""
    label: str
    score: float
    distance: float
