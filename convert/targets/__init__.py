"""What the model will run on: runtimes, Edge TPU, microcontrollers."""
