"""Which network to take: the trials of `make sweep`, what they cost, and the page that compares."""

__all__ = ["choice", "compare", "measure", "page", "table", "trial", "work"]
