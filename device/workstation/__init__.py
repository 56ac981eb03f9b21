"""What training and conversion share and no board needs: the build folder's files, and pages."""

__all__ = [
    "conversion",
    "measures",
    "plot_style",
    "quiet",
    "records",
    "templates",
    "training",
]
