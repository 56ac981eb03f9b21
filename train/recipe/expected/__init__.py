"""What to expect of a trained network beside its test part: from photos held out in turn."""

__all__ = ["estimates", "held_out", "place_views"]
