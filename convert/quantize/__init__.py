"""From a Keras network to full-integer TFLite."""
