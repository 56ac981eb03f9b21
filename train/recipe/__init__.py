"""The recipe: fine-tuning the network on the photos."""

__all__ = ["config", "evaluate", "fit", "photos", "truth"]
