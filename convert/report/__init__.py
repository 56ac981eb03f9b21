"""What a build says of itself: plots, the report's section on quantization, the summary."""

__all__ = ["section", "summary"]
