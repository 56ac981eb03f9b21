"""The steps of conversion as functions, for `python -m convert` and for other programs."""

__all__ = ["bundle", "export", "field", "firmware", "samples", "sweep", "verify"]
