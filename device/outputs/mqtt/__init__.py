"""The MQTT output, with Home Assistant's discovery."""

__all__ = ["connection", "home_assistant", "sink"]
