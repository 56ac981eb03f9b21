"""The models on test photos that were spoiled by faults of cameras, and the gate for that."""

__all__ = ["measure"]
