"""Where labels go: the sinks, a thread for each, and which of them the settings ask for."""

__all__ = ["mqtt", "registry", "running", "thread"]
