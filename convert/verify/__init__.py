"""Verification of the quantized model: comparison, statistics and the gate."""

__all__ = [
    "clutter",
    "comparison",
    "confidence",
    "evidence",
    "faults",
    "left_out",
    "models",
    "record",
    "statistics",
    "strangers",
]
