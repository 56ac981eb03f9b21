"""Photos that are no files of a folder: in tar shards and Parquet files, or in a bucket."""

__all__ = ["index", "rows", "spots", "stores"]
