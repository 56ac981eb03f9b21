"""What MQTT says of settings that cannot work, and of a package that is not there."""

import shutil
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.errors import ConfigError
from device.outputs.mqtt import home_assistant
from device.settings.mqtt import MqttConfig, check_mqtt
from device.settings.sections import load


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
        ({"host": "homeassistant..local"}, "host='homeassistant..local'"),
        ({"host": "x" * 70}, "not a possible host name"),
        ({"host": "two words"}, "not a possible host name"),
        ({"host": "mqtt://broker"}, "write only the name"),
        ({"host": "broker:1883"}, "port is a separate setting"),
        ({"host": "[::1]"}, "write only the name or address"),
        ({"topic_prefix": "$SYS"}, "topic_prefix='$SYS'"),
        ({"topic_prefix": "a\nb"}, "all of them printable"),
        ({"device_id": "x" * 300}, "at most 200 characters"),
        ({"password": "secret"}, "user is not"),
        ({"cert_file": "c.pem"}, "set tls = true"),
        ({"tls": True, "key_file": "k.pem"}, "cert_file is not"),
        ({"tls": True, "cert_file": "/nowhere/c.pem"}, "cert_file='/nowhere/c.pem'"),
        ({"tls": True, "ca_file": "/"}, "ca_file='/'"),
    ],
)
def test_settings_that_cannot_work_are_named(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=r"^output\.mqtt") as caught:
        check_mqtt(MqttConfig(**wrong))
    assert words in str(caught.value)


@pytest.mark.parametrize("host", ["localhost", "Küche.lan", "10.0.0.1", "fe80::1", "a-b.local."])
def test_hosts_that_there_may_be_are_taken(host: str) -> None:
    check_mqtt(MqttConfig(host=host))


@given(host=st.text(max_size=80))
def test_no_host_of_the_settings_ends_the_connection_s_thread(host: str) -> None:
    with suppress(ConfigError):
        check_mqtt(MqttConfig(host=host))
        # What Python's own sockets do with it first.
        assert host.encode("idna") and "\0" not in host


def test_certificates_are_read_with_the_settings(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make certificates with")
    make = "openssl req -x509 -newkey rsa:2048 -days 2 -subj /CN=x -out {0}.pem -keyout {0}.key"
    for name, cipher in (("a", "-nodes"), ("b", "-nodes"), ("locked", "-passout pass:geheim")):
        command = f"{make.format(name)} {cipher}".split()
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    (tmp_path / "text").write_text("nothing\n")

    def check(cert: str, key: str, ca: str = "a.pem") -> None:
        cert, key, ca = (str(tmp_path / file) if file else "" for file in (cert, key, ca))
        check_mqtt(MqttConfig(tls=True, cert_file=cert, key_file=key, ca_file=ca))

    check("a.pem", "a.key")
    for wrong, words in {
        ("a.pem", "b.key"): "cert_file=",
        ("a.pem", ""): "cert_file=",
        ("text", "a.key"): "cert_file=",
        ("a.pem", "none.key"): "key_file=",
        ("locked.pem", "locked.key"): "has a password",
        ("a.pem", "a.key", "text"): "ca_file=",
    }.items():
        with pytest.raises(ConfigError, match=rf"^output\.mqtt\..*{words}|{words}") as caught:
            check(*wrong)
        assert "geheim" not in str(caught.value)


def test_any_host_name_makes_a_usable_device_id() -> None:
    assert home_assistant.device_id(MqttConfig(device_id="my garden/#1+é")) == "my-garden-1-"
    assert home_assistant.device_id(MqttConfig()).startswith("fieldguide-")


def test_a_certificate_that_is_not_there_yet_is_waited_for_and_a_wrong_one_is_not(
    tmp_path: Path,
) -> None:
    """By the manager, which starts the service again unless the status is 2."""
    settings = tmp_path / "fieldguide.toml"
    for path, status in (("/nowhere/ca.pem", 1), (__file__, 2)):
        settings.write_text(f'[output.mqtt]\nenabled = true\ntls = true\nca_file = "{path}"\n')
        with pytest.raises(ConfigError, match="ca_file=") as caught:
            load(settings)
        assert caught.value.exit_status == status
