"""Releases of the device package itself: a venv beside the one that runs, on trial or kept."""

__all__ = ["releases", "run"]
