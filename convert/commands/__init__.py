"""The steps of conversion as functions: what `python -m convert` calls, and a program may."""

__all__ = ["bundle", "export", "firmware", "samples", "verify"]
