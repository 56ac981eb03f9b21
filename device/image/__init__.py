"""SD-card images for a Raspberry Pi: made and written on a workstation, never on the board."""
