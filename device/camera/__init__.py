"""Where frames come from: folders, films, local and network cameras that come and go."""

__all__ = ["frame", "live", "source", "v4l2"]
