"""The service's settings, `fieldguide.toml`: strict reading, one frozen section per part."""

__all__ = ["address", "mqtt", "reader", "region", "sections", "state", "update"]
