"""A thousand simulated camera-years: false alarms, what is found, and the estimate of accuracy."""

__all__: list[str] = []
