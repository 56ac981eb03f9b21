"""How fast this board is, measured on the frame loop that it really runs."""

__all__ = ["frame_loop", "stages"]
