"""Benchmarks: our recipe compared with others, frozen features, and how training scales."""

__all__ = ["features", "recipes", "scale"]
