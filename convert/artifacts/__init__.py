"""The files between the stages: those of training, and those of export."""

__all__ = ["exported", "features", "training"]
