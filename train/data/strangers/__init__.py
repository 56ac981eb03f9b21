"""The user's own strangers: photos of the folder `_other`, which show none of the classes."""

__all__ = ["listing", "placing"]
