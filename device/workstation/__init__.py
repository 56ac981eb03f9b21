"""Shared by training and conversion, not needed on boards: build files, figures and pages."""

__all__ = [
    "conversion",
    "events",
    "measures",
    "plot_style",
    "quiet",
    "records",
    "tables",
    "templates",
    "training",
    "weights",
    "wording",
]
