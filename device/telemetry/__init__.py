"""What the service reports about its work and its health."""

__all__ = ["board", "counters", "machine", "observation", "status", "unknown", "updates"]
