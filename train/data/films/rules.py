"""How many frames of a film are taken."""

from dataclasses import dataclass, field

from device.contract.look.rules import LookRules
from train.errors import DataError

MOST_FPS = 30


@dataclass(frozen=True)
class FilmRules:
    """How frames are chosen; the same rules and the same film give the same frames."""

    fps: float = 1.0
    """At most so many frames a second are taken."""
    most: int = 60
    """At most so many frames of one film."""
    most_still: int = 5
    """At most so many of a film in which nothing moves: they show the same."""
    look: LookRules = field(default_factory=LookRules)

    @property
    def step_ms(self) -> int:
        """Least time between two frames that are taken."""
        return round(1000 / self.fps)


def film_rules(fps: str) -> FilmRules:
    """The rules of a command line.

    Args:
        fps: frames a second as the user wrote them.

    Raises:
        DataError: if it is no number above 0 and up to `MOST_FPS`.
    """
    try:
        given = float(fps)
    except ValueError:
        given = 0.0
    if not 0 < given <= MOST_FPS:
        raise DataError(f"FILM_FPS={fps}: give frames a second, above 0 and up to {MOST_FPS}")
    return FilmRules(given)
