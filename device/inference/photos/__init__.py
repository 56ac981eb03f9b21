"""Photos of files and folders, cut as a device would cut them, and classified."""

__all__ = ["files", "standing"]
