"""Faults of cameras, rendered into pictures: the same for training and for verification."""

__all__ = ["catalogue", "figures"]
