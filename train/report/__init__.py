"""The training report, with its chapter on how the network sees."""

__all__ = ["publish"]
