"""Signed releases that boards fetch: their names, what is in one, and who may have it."""

# Modules are named here with the first import from elsewhere.
__all__ = ["naming", "packing", "record", "rollout"]
