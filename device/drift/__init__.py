"""Notices that what a camera shows, or what is said about it, is not what it used to be."""

__all__ = ["day", "kept", "monitor", "sample", "status"]
