"""What a verification says of `unknown`."""

__all__ = ["known", "listed", "strangers"]
