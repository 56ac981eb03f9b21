"""What an audit finds: findings, removals, and how good its judge is."""

from dataclasses import dataclass

COPY, SAME_PICTURE, CONTRADICTION = "copy", "same_picture", "contradiction"
APART, MISLABEL, OUTLIER = "apart", "mislabel", "outlier"


@dataclass(frozen=True)
class Finding:
    """Something a person should look at."""

    kind: str
    """copy, contradiction, same_picture, apart, mislabel or outlier."""
    paths: tuple[str, ...]
    """Of a mislabel or outlier, all photos of the event in one class and part; of events that may
    be one, a photo of each."""
    score: float
    """Lowest cosine in a group, highest between events that may be one, margin of a mislabel, mean
    cosine of an outlier; 0 to 1."""
    suggested: str = ""
    """For a mislabel, the class that the judge suggests."""
    neighbours: float = 0.0
    """For a mislabel, the share of its nearest training photos in that class."""


@dataclass(frozen=True)
class Removal:
    """A photo that `make data CLEAN=1` leaves out."""

    path: str
    sha256: str
    kind: str
    reason: str


@dataclass(frozen=True)
class Judge:
    """How good the judge of classes is on the training part, cross-validated."""

    n: int
    events: int
    accuracy: float
    """Share of the photos that it assigns to their class, each event counting once."""
