"""The web page: live picture, what the model sees, history and health."""

__all__ = ["sink"]
