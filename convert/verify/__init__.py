"""Verification of the quantized model: comparison, statistics and the gate."""

__all__ = ["comparison", "confidence", "evidence", "models", "record", "statistics"]
