"""The service: supervises capture, inference, outputs and model."""

__all__ = ["supervisor"]
