"""Our recipe beside others, and how training scales."""

__all__ = ["recipes", "scale"]
