"""When the device says "unknown": one rule for photos, frames, visits and what is saved."""

from dataclasses import dataclass


@dataclass(frozen=True)
class UnknownRule:
    """What a picture must be to get a label."""

    limit: float | None = None
    """Its distance at most; None: the distance says nothing."""
    threshold: float = 0.0
    """Its score at least, 0..1."""

    @classmethod
    def of(cls, limit: float | None, threshold: float | None) -> "UnknownRule":
        """The rule of a bundle, which a threshold in the settings replaces."""
        return cls(limit) if threshold is None else cls(None, threshold)

    def turns_away(self, score: float, distance: float | None, margin: float = 0.0) -> bool:
        """Whether a picture is unknown.

        Args:
            score: of its label.
            distance: None if the model tells none.
            margin: by how much it may miss what the rule asks for.
        """
        too_far = self.limit is not None and distance is not None and distance > self.limit + margin
        return too_far or score < self.threshold - margin

    def is_close(self, score: float, distance: float | None, margin: float) -> bool:
        """Whether the picture could as well be on the other side of the rule."""
        if self.limit is not None and distance is not None:
            return abs(distance - self.limit) < margin
        return abs(score - self.threshold) < margin
