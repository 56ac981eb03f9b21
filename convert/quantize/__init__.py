"""Quantization: from a Keras network to full-integer TFLite."""

__all__ = ["calibration", "equalize", "exact", "export", "known", "plan"]
