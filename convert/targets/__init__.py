"""Targets that the model runs on: runtimes, Edge TPU, microcontrollers."""

__all__ = ["edgetpu", "measure_runtimes", "micro", "runtimes", "tolerance"]
