"""Verification of the quantized model: comparison, statistics and the gate."""

__all__ = [
    "clutter",
    "comparison",
    "confidence",
    "evidence",
    "faults",
    "models",
    "record",
    "statistics",
]
