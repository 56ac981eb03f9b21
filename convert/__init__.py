"""A trained Keras classifier in, a verified full-int8 bundle out.

A program calls `convert.commands`; the rest is for this package.
"""

__all__ = ["commands"]
