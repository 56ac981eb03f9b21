"""Bundles on trial and confirmed: the two slots, and who owns their folder."""

__all__ = ["slots"]
