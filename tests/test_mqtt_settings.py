"""What MQTT says of settings that cannot work, and of a package that is not there."""

import sys
from typing import Any

import pytest
from sights import Surroundings

from device import discovery, outputs
from device.config import MqttConfig, check_mqtt
from device.errors import ConfigError
from device.mqtt import Mqtt


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"tls": True, "ca_file": "/nowhere/ca.pem"}, "ca_file='/nowhere/ca.pem'"),
        ({"tls": True, "ca_file": __file__}, "ca_file="),
        ({"ca_file": "ca.pem"}, "set tls = true"),
        ({"topic_prefix": "a/#"}, "topic_prefix='a/#'"),
        ({"topic_prefix": ""}, "must not be empty"),
        ({"discovery_prefix": "/ha"}, "discovery_prefix='/ha'"),
        ({"host": ""}, "must not be empty"),
    ],
)
def test_settings_that_cannot_work_are_named(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=r"^output\.mqtt") as caught:
        check_mqtt(MqttConfig(**wrong))
        # What it takes to know is done where it is used.
        Mqtt(MqttConfig(**wrong))
    assert words in str(caught.value)


def test_any_host_name_makes_a_usable_device_id() -> None:
    assert discovery.device_id(MqttConfig(device_id="my garden/#1+é")) == "my-garden-1-"
    assert discovery.device_id(MqttConfig()).startswith("fieldguide-")


def test_a_missing_package_is_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("device.mqtt", "device.metrics"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    for module in ("paho.mqtt", "prometheus_client"):
        monkeypatch.setitem(sys.modules, module, None)
    for name, package in (("mqtt", "paho-mqtt"), ("prometheus", "prometheus-client")):
        with pytest.raises(ConfigError, match=f"{package} is not installed: pip install"):
            outputs.FACTORIES[name](Surroundings().context())


def test_a_certificate_that_is_not_there_yet_is_waited_for_and_a_wrong_one_is_not() -> None:
    """By the manager, which starts the service again unless the status is 2."""
    for path, status in (("/nowhere/ca.pem", 1), (__file__, 2)):
        with pytest.raises(ConfigError) as caught:
            Mqtt(MqttConfig(tls=True, ca_file=path))
        assert caught.value.exit_status == status
