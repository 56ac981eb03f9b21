"""What keeps the service from working here, and what to do about it."""

__all__ = ["examine", "finding"]
