"""Reading and writing TFLite files and their metadata."""

__all__ = ["flatbuffer", "macs", "metadata"]
