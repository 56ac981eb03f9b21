"""The files between the stages: what training left, and what export leaves."""

__all__ = ["exported", "training"]
