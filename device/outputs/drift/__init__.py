"""Watches whether the camera and what it sees are still as they were."""

__all__ = ["sink"]
