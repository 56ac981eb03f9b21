"""What is seen of photos: where they are cut, and whether the network is trained on that."""

__all__ = ["cutting", "noted", "region", "sighting"]
