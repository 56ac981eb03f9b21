"""Photos in, a fine-tuned Keras classifier out.

Its steps, as `python -m train` calls them, are in these packages.
"""

__all__ = ["curate", "data", "distill", "recipe", "report"]
