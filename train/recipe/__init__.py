"""The recipe: fine-tuning the network on the photos."""
