"""SD-card images for a Raspberry Pi: made and written on a workstation, never on the board.

Only `python -m device.image` uses it.
"""

__all__: list[str] = []
