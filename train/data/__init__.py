"""Photos: finding and fetching them, telling events apart, and splitting them into parts."""

__all__ = ["augment", "dataset", "events", "listed", "record", "rendered", "split"]
