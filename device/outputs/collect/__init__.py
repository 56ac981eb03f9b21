"""Frames worth learning from, saved into a folder that cannot outgrow its bounds."""

__all__ = ["sink"]
