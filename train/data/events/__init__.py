"""Which photos belong together: copies, events and places, by pictures, clocks, names and lists."""

__all__ = ["copies", "given", "groups", "occasions"]
