"""Views of photos before other backgrounds: the background of a place, its subjects, exchange."""

__all__ = ["backgrounds", "exchange"]
