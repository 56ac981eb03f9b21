"""Which photos belong together: copies, events and places, by pictures, clocks, names and lists."""

__all__ = ["cells", "centres", "copies", "filed", "given", "groups", "occasions"]
