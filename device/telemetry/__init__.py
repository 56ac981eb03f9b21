"""What the service says of its work and of its health."""

__all__ = ["board", "counters", "observation", "status"]
