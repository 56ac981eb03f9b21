"""What of others is believed: times, files and signed metadata."""

__all__ = ["fetch", "floor", "regular", "stick", "trusted", "web"]
