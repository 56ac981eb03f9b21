"""A small network for microcontrollers, taught by the trained one."""

__all__ = ["run"]
