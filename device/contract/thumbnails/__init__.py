"""Small pictures of training photos, for people who ask why: which is most like a frame."""

__all__ = ["record", "webp"]
