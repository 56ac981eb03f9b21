"""Where something is in the frames of a camera that stands still, in integers only.

Workstation and board must find the same boxes, so every step from a frame's bytes to a box is exact
integer arithmetic: no rounding mode, vector unit or library version can change a bit of it.
"""

__all__ = [
    "album",
    "box",
    "cameras",
    "cells",
    "change",
    "light",
    "looker",
    "place",
    "rules",
]
