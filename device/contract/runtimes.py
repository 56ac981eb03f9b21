"""Names of the TFLite runtimes that a device may have: in settings, bundles and messages."""

LITERT = "ai-edge-litert"
TFLITE = "tflite-runtime"
"""Both as their distributions are called."""
EDGETPU = "edgetpu"
"""Either of them with the Edge TPU's delegate."""
AUTO = "auto"
"""Not one, but the choice of the first that is there or passes its self-test."""
FASTEST_FIRST = (EDGETPU, LITERT, TFLITE)
