"""What a build says of itself: plots, the report's section on quantization, the summary."""
