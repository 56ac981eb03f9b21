"""Where frames come from: folders, video files, local and network cameras."""

__all__ = ["frame", "live", "source", "v4l2"]
