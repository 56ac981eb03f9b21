"""Photos in, a fine-tuned Keras classifier out."""
