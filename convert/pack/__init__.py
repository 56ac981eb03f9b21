"""Makes the bundle: the verified model with everything a device needs, and its model card."""

__all__ = ["bundle"]
