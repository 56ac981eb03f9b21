"""A trained Keras classifier in, a verified full-int8 bundle out.

A program calls `convert.commands`; the other packages are internal.
"""

__all__ = ["commands"]
