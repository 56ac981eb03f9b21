"""The HTTP server that page and metrics share, and who may talk to it."""

__all__ = ["access", "messages", "serving"]
