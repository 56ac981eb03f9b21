"""Where work on photos is done: every loop over photos goes through here.

What comes out does not depend on how many workers there are, or on their order.
"""

__all__ = ["choice", "progress", "work"]
