"""Updating bundles: two slots, trial and confirmation, going back, and signed releases."""

__all__ = ["command", "slots"]
