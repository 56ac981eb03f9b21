"""Photos: finding and fetching them, detecting copies, and splitting them into parts."""

__all__ = ["augment", "copies", "dataset", "groups", "listed", "record", "rendered", "split"]
