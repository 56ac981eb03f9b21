"""Benchmarks: quantizers side by side, and the tables of figures."""

__all__ = ["figures", "quantizers"]
