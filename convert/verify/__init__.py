"""Does the quantized model still tell the truth? Comparison, statistics and the gate."""

__all__ = ["comparison", "confidence", "evidence", "models", "record", "statistics"]
