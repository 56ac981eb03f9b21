"""What the model will run on: runtimes, Edge TPU, microcontrollers."""

__all__ = ["edgetpu", "measure_runtimes", "micro", "runtimes", "tolerance"]
