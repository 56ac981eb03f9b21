"""Why a broker cannot be used, and what to do about it, in words.

A broker that closes the connection gives no reason. Then its port is probed for TLS, WebSocket and
unencrypted MQTT. Neither user nor password is sent for that.
"""

import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass

from paho.mqtt.reasoncodes import ReasonCode

from device.errors import one_line
from device.settings.mqtt import MqttConfig, tls_context

PROBE_TIMEOUT_S = 3.0
"""Time limit of each probe."""
UNSUPPORTED_VERSION = 132
BAD_LOGIN, NOT_AUTHORIZED = 134, 135
NORMAL, UNSPECIFIED, KEEPALIVE_TIMEOUT, SESSION_TAKEN_OVER = 0, 128, 141, 142
"""MQTT 5's reason codes; paho maps MQTT 3's refusals to the same codes."""
HELLO = b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x05\x00\x00"
"""CONNECT of MQTT 3.1.1, without id and user."""
UPGRADE = (
    b"GET /mqtt HTTP/1.1\r\nHost: broker\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: ZmllbGRndWlkZS1hc2tzLg==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Protocol: mqtt\r\n\r\n"
)


@dataclass(frozen=True)
class Trouble:
    """What is wrong, in one line."""

    what: str
    fix: str = ""

    def __str__(self) -> str:
        return f"{self.what}; {self.fix}" if self.fix else self.what


def broker(config: MqttConfig) -> str:
    """How messages name a broker."""
    return f"the broker at {config.host} port {config.port}"


def of_error(config: MqttConfig, error: Exception) -> Trouble:
    """Why connecting failed."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _of_certificate(config, error)
    if config.tls and _is_of_tls(error):
        return _of_handshake(config, error)
    reason = getattr(error, "strerror", None) or one_line(error)
    fix = "check output.mqtt.host and port, and that the broker runs"
    return Trouble(f"{broker(config)} cannot be reached: {reason}", fix)


def of_refusal(config: MqttConfig, code: ReasonCode) -> Trouble:
    """Why the broker refuses the login."""
    fix = ""
    if code.value in (BAD_LOGIN, NOT_AUTHORIZED):
        fix = "it may want output.mqtt.user and password"
        if config.user:
            fix = "check output.mqtt.user and password"
            fix += ", cert_file" if config.cert_file else ""
    return Trouble(f"{broker(config)} refuses the connection: {code}", fix)


def of_taken_id(config: MqttConfig, name: str) -> Trouble:
    """Another client with the same id disconnected this one."""
    fix = "give one of the two another output.mqtt.device_id"
    return Trouble(f"another client uses the id {name} at {broker(config)}", fix)


def of_end(config: MqttConfig, code: ReasonCode | None) -> Trouble:
    """An accepted connection has ended."""
    if code is None or code.value in (UNSPECIFIED, NORMAL):
        return Trouble(f"the connection to {broker(config)} was lost")
    if code.value == KEEPALIVE_TIMEOUT:
        return Trouble(f"{broker(config)} does not answer any more")
    return Trouble(f"{broker(config)} ended the connection: {code}")


def of_denial(config: MqttConfig, topic: str, code: ReasonCode) -> Trouble:
    """The broker's access list denies a topic."""
    who = f"user {config.user}" if config.user else "clients without a user"
    fix = f"let {who} write and read it in the broker's access list (ACL)"
    return Trouble(f"{broker(config)} denies the topic {topic}: {code}", fix)


def of_silence(config: MqttConfig) -> Trouble:
    """The port is open, and nothing answers."""
    return _by_asking(config) or Trouble(
        f"{broker(config)} does not answer", "check that it is an MQTT broker and does not hang"
    )


def of_hanging_up(config: MqttConfig) -> Trouble:
    """The broker ended the connection before it answered: probe the port for the reason."""
    return _by_asking(config) or Trouble(
        f"{broker(config)} hangs up before it answers",
        "check that it is an MQTT broker, that it lets this address in, and its log",
    )


def _is_of_tls(error: Exception) -> bool:
    return isinstance(error, ssl.SSLError | ConnectionResetError | BrokenPipeError | TimeoutError)


def _of_certificate(config: MqttConfig, error: ssl.SSLCertVerificationError) -> Trouble:
    why = error.verify_message or str(error)
    fix = "set output.mqtt.ca_file to the certificate of the authority that signed the broker's"
    if "mismatch" in why or "not valid for" in why:
        fix = "set output.mqtt.host to a name that is in its certificate"
    elif "expired" in why or "not yet valid" in why:
        fix = "renew it, or set this device's clock"
    return Trouble(f"{broker(config)} cannot be reached: its certificate: {why}", fix)


def _of_handshake(config: MqttConfig, error: Exception) -> Trouble:
    reason = getattr(error, "reason", None) or str(error)
    if "ALERT" in reason:
        return _of_alert(config, reason)
    plain = _asked_in_the_clear(config)
    if plain is not None:
        return plain
    fix = "check output.mqtt.port, and that the broker has TLS on it"
    return Trouble(f"{broker(config)} cannot be reached by TLS: {reason}", fix)


def _of_alert(config: MqttConfig, reason: str) -> Trouble:
    why = reason.replace("_", " ").lower()
    if config.cert_file:
        fix = "check that output.mqtt.cert_file is signed by an authority that the broker trusts"
        return Trouble(f"{broker(config)} does not take this device's certificate: {why}", fix)
    fix = "set output.mqtt.cert_file and key_file"
    return Trouble(f"{broker(config)} wants a certificate of this device: {why}", fix)


# --- asking -----------------------------------------------------------------------------------


def _by_asking(config: MqttConfig) -> Trouble | None:
    return _asked_by_tls(config) if config.tls else _asked_without_tls(config)


def _asked_without_tls(config: MqttConfig) -> Trouble | None:
    if _speaks_tls(config):
        fix = "set output.mqtt.tls = true, and ca_file if the certificate is your own"
        return Trouble(f"{broker(config)} speaks TLS there", fix)
    return _of_http(config) if _answer(config, UPGRADE).startswith(b"HTTP/") else None


def _asked_in_the_clear(config: MqttConfig) -> Trouble | None:
    if _answer(config, HELLO)[:1] == b"\x20":
        fix = "set output.mqtt.tls = false, or the port on which the broker has TLS, mostly 8883"
        return Trouble(f"{broker(config)} speaks MQTT without TLS there", fix)
    return _of_http(config) if _answer(config, UPGRADE).startswith(b"HTTP/") else None


def _asked_by_tls(config: MqttConfig) -> Trouble | None:
    context = tls_context(config)
    try:
        if _answer(config, UPGRADE, context).startswith(b"HTTP/"):
            return _of_http(config)
    except ssl.SSLError as error:
        # TLS 1.3 rejects a client's certificate only after the handshake.
        if "ALERT" in (error.reason or ""):
            return _of_alert(config, error.reason)
    return None


def _of_http(config: MqttConfig) -> Trouble:
    fix = "set output.mqtt.port to the broker's own for MQTT, mostly 1883, or 8883 with TLS"
    return Trouble(f"{broker(config)} speaks WebSocket or HTTP there, not plain MQTT", fix)


def _answer(config: MqttConfig, question: bytes, context: ssl.SSLContext | None = None) -> bytes:
    """The first bytes that come back; raises SSLError only with a context."""
    try:
        with socket.create_connection((config.host, config.port), PROBE_TIMEOUT_S) as plain:
            if context is None:
                plain.sendall(question)
                return plain.recv(64)
            with context.wrap_socket(plain, server_hostname=config.host) as secure:
                secure.sendall(question)
                return secure.recv(64)
    except ssl.SSLError:
        raise
    except (OSError, ValueError):
        return b""


def _speaks_tls(config: MqttConfig) -> bool:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with suppress(OSError, ValueError):
        try:
            with (
                socket.create_connection((config.host, config.port), PROBE_TIMEOUT_S) as plain,
                context.wrap_socket(plain, server_hostname=config.host),
            ):
                return True
        except ssl.SSLError as error:
            # A server that sends an alert speaks TLS, too.
            return "ALERT" in (error.reason or "")
    return False
