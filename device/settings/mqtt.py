"""The settings of the MQTT output, and their checks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from device.errors import ConfigError, SettingsUnreadError
from device.settings.reader import setting
from device.settings.sink import SinkConfig

if TYPE_CHECKING:
    import ssl

MAX_TOPIC_CHARACTERS = 200
"""Limit of a prefix or an id; a whole topic may have 65,535 bytes."""


@dataclass(frozen=True)
class MqttConfig(SinkConfig):
    """State and health for a broker, announced to Home Assistant (`device.outputs.mqtt.sink`)."""

    host: str = "localhost"
    port: int = setting(1883, low=1, high=65535)
    user: str = ""
    password: str = setting("", secret=True)
    tls: bool = False
    """Encrypt, and check the broker's certificate; brokers usually offer this on port 8883."""
    ca_file: str = ""
    """Certificates to trust instead of the system's."""
    cert_file: str = ""
    """The device's own certificate, if the broker asks for one."""
    key_file: str = ""
    """Its key; empty if the key is in `cert_file`."""
    device_id: str = ""
    name: str = ""
    """What Home Assistant calls the device; empty: its id."""
    topic_prefix: str = "fieldguide"
    interval_s: float = setting(10.0, low=0, high=3600)
    discovery_prefix: str = "homeassistant"
    pictures: bool = True
    """Also send a small picture of each visit."""


def check_mqtt(config: MqttConfig) -> None:
    """Check topics, host and certificates.

    Raises:
        ConfigError: naming the setting.
        SettingsUnreadError: if a certificate cannot be read right now.
    """
    _check_topics(config)
    _check_host(config.host)
    if config.password and not config.user:
        raise ConfigError("output.mqtt.password is set, but user is not")
    files = {"ca_file": config.ca_file, "cert_file": config.cert_file, "key_file": config.key_file}
    for name, file in files.items():
        if file and not config.tls:
            raise ConfigError(f"output.mqtt.{name} is set, but tls is not: set tls = true")
    if config.key_file and not config.cert_file:
        raise ConfigError("output.mqtt.key_file is set, but cert_file is not: set both")
    if config.tls:
        tls_context(config)


def tls_context(config: MqttConfig) -> ssl.SSLContext:
    """The TLS context of the connection.

    Raises:
        ConfigError: if a file holds no certificate or key.
        SettingsUnreadError: if a file cannot be read right now; a later try may succeed.
    """
    # Imported only here: most settings do not need it.
    import ssl

    with _naming("ca_file", config.ca_file):
        context = ssl.create_default_context(cafile=config.ca_file or None)
    if config.cert_file:
        if config.key_file:
            with _naming("key_file", config.key_file), open(config.key_file, "rb"):
                pass
        with _naming("cert_file", config.cert_file):
            # For a key with a password, OpenSSL would otherwise ask at the terminal.
            context.load_cert_chain(config.cert_file, config.key_file or None, password=_none)
    return context


def _none() -> str:
    raise ConfigError(
        "output.mqtt.key_file: the key has a password; save it without one: openssl pkey"
    )


@contextmanager
def _naming(name: str, value: str) -> Iterator[None]:
    """Name the setting whose file cannot be used."""
    import ssl

    what = f"output.mqtt.{name}={value!r}"
    try:
        yield
    except ssl.SSLError as error:
        reason = (error.reason or str(error)).replace("_", " ").lower()
        raise ConfigError(f"{what}: not a usable PEM file ({reason})") from error
    except IsADirectoryError as error:
        raise ConfigError(f"{what}: {error.strerror}") from error
    except OSError as error:
        # A missing file may appear soon, on a disk that is mounted after the service starts.
        raise SettingsUnreadError(f"{what}: {error.strerror or error}") from error


def _check_topics(config: MqttConfig) -> None:
    prefixes = {
        "topic_prefix": config.topic_prefix,
        "discovery_prefix": config.discovery_prefix,
    }
    for name, value in prefixes.items():
        if set("+#") & set(value) or value.startswith(("/", "$")) or value.endswith("/"):
            rule = "must not contain + or #, begin with / or $, or end with /"
            raise ConfigError(f"output.mqtt.{name}={value!r}: {rule}")
    for name, value in {**prefixes, "device_id": config.device_id, "name": config.name}.items():
        if len(value) > MAX_TOPIC_CHARACTERS or not value.isprintable():
            raise ConfigError(
                f"output.mqtt.{name}={value[:40]!r}: at most {MAX_TOPIC_CHARACTERS} characters, "
                "all of them printable"
            )
    if not config.topic_prefix or not config.host:
        raise ConfigError("output.mqtt: host and topic_prefix must not be empty")


def _check_host(host: str) -> None:
    what = f"output.mqtt.host={host!r}"
    if "://" in host or "/" in host:
        raise ConfigError(f"{what}: write only the name, without mqtt:// and without a path")
    if host.startswith("[") or host.count(":") == 1:
        raise ConfigError(f"{what}: write only the name or address; port is a separate setting")
    try:
        # Python's sockets encode it the same way.
        host.encode("idna")
    except UnicodeError as error:
        raise ConfigError(f"{what}: not a possible host name ({error})") from error
    if not host.isprintable() or any(c.isspace() for c in host):
        raise ConfigError(f"{what}: not a possible host name (spaces)")
