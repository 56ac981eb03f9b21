"""The bundle: the verified model with all that a device needs, and its model card."""

__all__ = ["bundle"]
