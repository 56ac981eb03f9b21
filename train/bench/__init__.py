"""Benchmarks: our recipe compared with others, and how training scales."""

__all__ = ["recipes", "scale"]
