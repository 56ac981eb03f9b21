"""Checks of `device.doctor` that make real connections: broker and network camera."""

import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from device.camera.frame import Frame
from device.camera.source import open_source
from device.contract.preprocess import Preprocessing
from device.doctor.finding import FAILED, OK, Finding
from device.errors import FieldguideError
from device.outputs import registry
from device.outputs.mqtt import home_assistant
from device.settings.address import shown
from device.settings.mqtt import MqttConfig
from device.settings.sections import CameraConfig
from device.telemetry.machine import machine

if TYPE_CHECKING:
    from device.outputs.mqtt.connection import Connection

BROKER_S = 25.0
"""Limit for two attempts: the broker may not know the first one's version of MQTT."""
CONFIRM_S = 5.0
CAMERA_S = 20.0
POLL_S = 0.05


def broker(config: MqttConfig) -> Iterator[Finding]:
    """Whether the broker accepts the device, and lets it write.

    Connects like the service, but under another id: the service may be running.
    """
    try:
        from device.outputs.mqtt.connection import Connection
    except ImportError:
        yield Finding("mqtt broker", FAILED, "paho-mqtt is not installed", registry.INSTALL)
        return
    topics = home_assistant.topics(config)
    heard: dict[str, str] = {}
    connection = Connection(
        config,
        f"{home_assistant.device_id(config)}-doctor",
        topics=(topics.birth,) if topics.birth else (),
        optional_topics=(topics.availability, topics.health),
        on_message=lambda topic, message, _retained: heard.update({topic: message}),
    )
    try:
        yield _connected(connection, config)
    finally:
        connection.close()
    if topics.health in heard:
        yield _identity(config, heard.get(topics.availability, ""), heard[topics.health])


def _connected(connection: "Connection", config: MqttConfig) -> Finding:
    _wait(lambda: connection.attempts >= 2 or connection.is_up, BROKER_S)
    if connection.is_up:
        # A topic of the device to which nobody subscribes; the message is not retained.
        topic = home_assistant.topics(config).state.removesuffix("state") + "doctor"
        connection.publish(topic, "hello", retain=False)
        if not _wait(lambda: connection.oldest_unconfirmed_s() == 0, CONFIRM_S):
            fix = "look at the broker's log"
            found = "it accepts the connection, but confirms no message"
            return Finding("mqtt broker", FAILED, found, fix)
    if connection.trouble is not None:
        return Finding("mqtt broker", FAILED, connection.trouble.what, connection.trouble.fix)
    return Finding("mqtt broker", OK, f"{config.host}:{config.port} accepts messages")


def _identity(config: MqttConfig, availability: str, health: str) -> Finding:
    """Whether a device that is online under this id is this machine."""
    name, theirs = home_assistant.device_id(config), home_assistant.sender_of(health)[0]
    if availability == home_assistant.ONLINE and theirs not in ("", machine()):
        fix = "give one of the two another output.mqtt.device_id"
        return Finding("mqtt id", FAILED, f"another device uses the id {name}", fix)
    return Finding("mqtt id", OK, name)


def camera_picture(config: CameraConfig) -> Finding:
    """Whether a camera on the network gives a picture."""
    answers: queue.SimpleQueue[Frame | Exception] = queue.SimpleQueue()
    started_s = time.monotonic()
    # If it hangs, the thread is abandoned.
    threading.Thread(target=lambda: answers.put(_first_frame(config)), daemon=True).start()
    fix = "check camera.source, user and password in it, and that no other program uses the camera"
    try:
        answer = answers.get(timeout=CAMERA_S)
    except queue.Empty:
        found = f"{shown(config.source)}: no picture within {CAMERA_S:.0f} s"
        return Finding("camera picture", FAILED, found, fix)
    if isinstance(answer, Exception):
        return Finding("camera picture", FAILED, str(answer), fix)
    if answer.picture is None:
        return Finding("camera picture", FAILED, f"{answer.name}: {answer.error}", fix)
    height_px, width_px = answer.picture.shape[:2]
    took_s = time.monotonic() - started_s
    return Finding("camera picture", OK, f"{width_px}x{height_px} after {took_s:.1f} s")


def _first_frame(config: CameraConfig) -> Frame | Exception:
    """The first whole frame, else the last damaged one."""
    frame: Frame | Exception = FieldguideError(f"{shown(config.source)}: no picture")
    try:
        for frame in open_source(config.source, Preprocessing(), config).frames():
            if frame.picture is not None:
                break
    except FieldguideError as error:
        return error
    except Exception as error:
        # An error in a library is a finding, too.
        return FieldguideError(f"{shown(config.source)}: {type(error).__name__}")
    return frame


def _wait(condition: Callable[[], bool], longest_s: float) -> bool:
    """Wait for a condition; returns whether it came true in time."""
    deadline_s = time.monotonic() + longest_s
    while not condition():
        if time.monotonic() > deadline_s:
            return False
        time.sleep(POLL_S)
    return True
