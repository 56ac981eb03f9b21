"""Photos: where they come from, what they are, copies among them, and how they are split."""

__all__ = ["augment", "copies", "dataset", "groups", "listed", "record", "rendered", "split"]
