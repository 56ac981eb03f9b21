"""Where labels go: the sinks, each on its own thread, and starting those that are enabled."""

__all__ = ["mqtt", "registry", "running", "thread", "visits"]
