"""Events, the occasions at which photos were taken, and the places of the cameras."""

__all__ = ["clocks", "films", "listed"]
