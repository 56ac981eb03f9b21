"""How good a bundle is where it runs: from sorted photos that devices took at random moments."""

__all__ = [
    "answers",
    "looked",
    "measure",
    "page",
    "photos",
    "record",
    "summary",
    "trained",
    "words",
]
