"""Reporting on a build: the report's section on quantization, its plots, and the summary."""

__all__ = ["pictures", "section", "summary"]
