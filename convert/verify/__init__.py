"""Does the quantized model still tell the truth? Comparison, statistics and the gate."""
