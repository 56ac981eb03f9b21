"""Photos: finding and fetching them, telling events apart, and splitting them into parts."""

__all__ = [
    "augment",
    "blocks",
    "dataset",
    "events",
    "films",
    "listed",
    "looks",
    "photo",
    "record",
    "rendered",
    "shards",
    "sight",
    "split",
    "strangers",
]
