"""Views of photos before other backgrounds, and as cameras spoil them."""

__all__ = ["backgrounds", "exchange", "robust"]
