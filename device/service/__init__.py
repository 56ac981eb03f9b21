"""The service: supervision of capture, inference, outputs and model."""

__all__ = ["supervisor"]
