"""Shared by training and conversion, not needed on boards: build files, figures and pages."""

__all__ = [
    "conversion",
    "cuts",
    "engine",
    "events",
    "expected",
    "faults",
    "measures",
    "photo_files",
    "plot_style",
    "quiet",
    "records",
    "shards",
    "shares",
    "tables",
    "templates",
    "training",
    "unknown",
    "weights",
    "wording",
]
