"""Photos in, a fine-tuned Keras classifier out.

These packages hold the steps that `python -m train` runs.
"""

__all__ = ["curate", "data", "distill", "recipe", "report"]
