"""The output that saves frames worth learning from, into a folder of limited size."""

__all__ = ["sink"]
