"""The recipe: fine-tuning the network on the photos."""

__all__ = ["activations", "config", "evaluate", "fit", "photos", "truth"]
