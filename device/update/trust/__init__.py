"""What of the network is believed: times, files and signed metadata."""

__all__ = ["fetch", "floor", "regular", "trusted"]
