"""How well a kind that the network was never shown is turned away: each class left out in turn."""

__all__: list[str] = []
