"""The training report, and its chapter on how the network sees."""

__all__ = ["publish"]
