"""Which photos belong together: copies, events and places, by pictures, clocks, names and lists."""

__all__ = ["cells", "centres", "copies", "given", "groups", "occasions"]
