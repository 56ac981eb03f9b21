"""The service's settings, `fieldguide.toml`: strict reading, one frozen section per part."""
