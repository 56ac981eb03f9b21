"""Cameras that send JPEG over HTTP: connection, sign-in, body, and the pictures in it."""

__all__ = ["camera"]
