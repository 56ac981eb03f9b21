"""The MQTT output, with Home Assistant's discovery."""
