"""Reading and writing TFLite files and their metadata."""
