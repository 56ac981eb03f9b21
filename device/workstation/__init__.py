"""Shared by training and conversion, not needed on boards: build files, figures and pages."""

__all__ = [
    "conversion",
    "measures",
    "plot_style",
    "quiet",
    "records",
    "templates",
    "training",
    "weights",
    "wording",
]
