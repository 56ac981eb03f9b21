"""Photos in tar shards, Parquet files and buckets: what is in them, by the rules of a folder."""

__all__ = ["records", "source", "write"]
