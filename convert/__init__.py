"""A trained Keras classifier in, a verified full-int8 bundle out."""
