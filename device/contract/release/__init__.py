"""Signed releases that boards fetch: their names, what is in one, and who may have it."""

__all__ = ["naming", "packing", "record", "rollout"]
