"""Updating bundles: two slots, trial and confirmation, and going back."""

__all__ = ["slots"]
