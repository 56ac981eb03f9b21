"""Names of the TFLite runtimes that a device may have: in settings, bundles and messages."""

LITERT = "ai-edge-litert"
TFLITE = "tflite-runtime"
"""Both are names of distributions."""
EDGETPU = "edgetpu"
"""Either of these with the Edge TPU's delegate."""
AUTO = "auto"
"""Not a runtime: choose the first one that is installed, or that passes its self-test."""
FASTEST_FIRST = (EDGETPU, LITERT, TFLITE)
