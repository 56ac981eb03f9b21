"""Films in class folders: which of their frames are learned from, and where these are kept."""

__all__ = ["found", "kept", "rules"]
