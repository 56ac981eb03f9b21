"""A small network for microcontrollers, distilled from the trained one."""

__all__ = ["run"]
