"""Promises of the card's settings: cloud-init gets what was asked for, mistakes are told."""

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from device.image.errors import ImageError
from device.image.identity import Identity, from_environment, seed
from device.image.tools import archive_of_apt
from device.settings import sections

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFakeKeyOfATestThatNobodyHasThePrivateHalfOf me@desk"
WIFI = {
    "WIFI_SSID": "Haus & Hof: 'unten'",
    "WIFI_PASSWORD": 'pass: "word" #1',
    "WIFI_COUNTRY": "DE",
}


def parsed(text: str) -> dict[str, Any]:
    """cloud-init reads YAML, of which JSON is a part; the first line says what it is."""
    heading, _, rest = text.partition("\n")
    assert heading.startswith("#")
    data: dict[str, Any] = json.loads(rest)
    return data


def test_user_and_key_are_as_asked() -> None:
    data = parsed(seed(from_environment({"IMAGE_USER": "ada", "SSH_KEY": KEY}))["user-data"])
    (user,) = data["users"]
    assert user["name"] == "ada" and user["ssh_authorized_keys"] == [KEY]
    # Nobody comes in with a password.
    assert user["lock_passwd"] is True and data["ssh_pwauth"] is False


def test_cloud_init_knows_its_kind_of_file() -> None:
    assert seed(Identity())["user-data"].startswith("#cloud-config\n")


def test_a_key_may_be_a_file(tmp_path: Path) -> None:
    path = tmp_path / "id.pub"
    path.write_text(f"{KEY}\n")
    assert from_environment({"SSH_KEY": str(path)}).ssh_key == KEY


def test_wifi_names_and_passwords_keep_every_character() -> None:
    network = parsed(seed(from_environment(WIFI))["network-config"])["network"]
    wifi = network["wifis"]["wlan0"]
    assert wifi["access-points"] == {WIFI["WIFI_SSID"]: {"password": WIFI["WIFI_PASSWORD"]}}
    assert wifi["regulatory-domain"] == "DE"


def test_names_of_networks_are_text_to_yaml_too() -> None:
    """To YAML an escaped emoji is two halves of a character, which nothing can write."""
    text = seed(from_environment({**WIFI, "WIFI_SSID": "\U0001f3e0 Café"}))["network-config"]
    assert "\U0001f3e0 Café" in text


def test_only_who_has_a_key_opens_a_stock_system_for_ssh() -> None:
    key = from_environment({"SSH_KEY": KEY})
    assert ["systemctl", "enable", "ssh"] in parsed(seed(key, "true")["user-data"])["runcmd"]
    assert "runcmd" not in parsed(seed(Identity(), "true")["user-data"])
    # The image of ours has it enabled.
    assert "runcmd" not in parsed(seed(key)["user-data"])


def test_no_interface_holds_up_the_boot() -> None:
    network = parsed(seed(from_environment(WIFI))["network-config"])["network"]
    interfaces = [*network["ethernets"].values(), *network["wifis"].values()]
    assert all(interface["optional"] for interface in interfaces)


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"IMAGE_HOSTNAME": "My Pi"}, "IMAGE_HOSTNAME"),
        ({"IMAGE_HOSTNAME": "-pi"}, "IMAGE_HOSTNAME"),
        ({"IMAGE_USER": "root"}, "IMAGE_USER"),
        ({"IMAGE_USER": "fieldguide"}, "IMAGE_USER"),
        ({"SSH_KEY": "/no/such/file.pub"}, "SSH_KEY"),
        ({"SSH_KEY": "~no-such-user/file.pub"}, "SSH_KEY"),
        ({"SSH_KEY": "-----BEGIN OPENSSH PRIVATE KEY-----"}, "SSH_KEY"),
        ({**WIFI, "WIFI_PASSWORD": "short"}, "WIFI_PASSWORD"),
        ({"WIFI_PASSWORD": "long enough"}, "WIFI_PASSWORD"),
        ({**WIFI, "WIFI_COUNTRY": ""}, "WIFI_COUNTRY"),
        ({**WIFI, "WIFI_COUNTRY": "Germany"}, "WIFI_COUNTRY"),
        ({"WEB_TOKEN": "short"}, "WEB_TOKEN"),
        ({"WEB_TOKEN": 'sixteen or more"""'}, "WEB_TOKEN"),
        ({"WEB_TOKEN": "schlüsselzumgarten"}, "WEB_TOKEN"),
        ({"WEB_TOKEN": "\u9375" * 16}, "WEB_TOKEN"),
        ({"IMAGE_USER": "9lives"}, "IMAGE_USER"),
        ({"IMAGE_USER": "systemd-network"}, "IMAGE_USER"),
        ({**WIFI, "WIFI_PASSWORD": "x" * 64}, "WIFI_PASSWORD"),
        ({**WIFI, "WIFI_PASSWORD": "ü" * 32}, "WIFI_PASSWORD"),
        ({**WIFI, "WIFI_PASSWORD": "password\n}"}, "WIFI_PASSWORD"),
        ({**WIFI, "WIFI_SSID": "two\nlines"}, "WIFI_SSID"),
        ({**WIFI, "WIFI_SSID": "ü" * 17}, "WIFI_SSID"),
        ({**WIFI, "WIFI_SSID": "caf\udce9"}, "WIFI_SSID"),
        ({**WIFI, "WIFI_PASSWORD": "geheimnis\udce9"}, "WIFI_PASSWORD"),
        ({**WIFI, "WIFI_HIDDEN": "yes"}, "WIFI_HIDDEN"),
        ({"WIFI_HIDDEN": "1"}, "WIFI_HIDDEN"),
    ],
)
def test_a_mistake_names_its_variable(environment: dict[str, str], named: str) -> None:
    with pytest.raises(ImageError, match=f"^{named}: "):
        from_environment(environment)


@pytest.mark.parametrize("name", ["passwd", "group"])
def test_no_user_or_group_that_debian_begins_with_is_taken_for_a_person(name: str) -> None:
    master = Path(f"/usr/share/base-passwd/{name}.master")
    if not master.exists():
        pytest.skip("no Debian: its lists of users and groups are not here")
    known = [line.split(":")[0] for line in master.read_text().splitlines()]
    assert "backup" in known
    for user in known:
        with pytest.raises(ImageError, match=r"^IMAGE_USER: "):
            from_environment({"IMAGE_USER": user})


def test_no_user_or_group_of_a_package_here_is_taken_for_a_person() -> None:
    files = sorted(Path("/usr/lib/sysusers.d").glob("*.conf"))
    lines = [line.split() for file in files for line in file.read_text().splitlines()]
    known = {words[1] for words in lines if words and words[0].rstrip("!") in ("u", "g")}
    if not known:
        pytest.skip("no package here makes users by sysusers.d")
    for user in known:
        with pytest.raises(ImageError, match=r"^IMAGE_USER: "):
            from_environment({"IMAGE_USER": user})


KEY_HEX = "0123456789abcdefABCDEF0123456789" * 2


def point(environment: dict[str, str]) -> dict[str, Any]:
    text = seed(from_environment(environment))["network-config"]
    (found,) = parsed(text)["network"]["wifis"]["wlan0"]["access-points"].values()
    answer: dict[str, Any] = found
    return answer


def test_a_key_of_64_hexadecimal_digits_is_taken_as_it_is() -> None:
    assert point({**WIFI, "WIFI_PASSWORD": KEY_HEX}) == {"password": KEY_HEX}


def test_a_network_that_hides_its_name_is_asked_for_by_it() -> None:
    assert point({**WIFI, "WIFI_HIDDEN": "1"}) == {
        "password": WIFI["WIFI_PASSWORD"],
        "hidden": True,
    }
    assert point({**WIFI, "WIFI_PASSWORD": "", "WIFI_HIDDEN": "1"}) == {"hidden": True}
    assert "hidden" not in point({**WIFI, "WIFI_HIDDEN": "0"})


# Everything but control characters and halves of characters.
TEXT = st.text(st.characters(exclude_categories=("Cc", "Cs")))


@given(TEXT.filter(lambda text: 0 < len(text.encode()) <= 32), TEXT)
@example("\u2028name\u2029\ufeff\ufffe", "")
@example('"\\": {#', "")
def test_every_name_of_a_network_comes_through_yaml_as_it_is(ssid: str, ending: str) -> None:
    password = ("password" + ending).encode()[:63].decode(errors="ignore")
    environment = {"WIFI_SSID": ssid, "WIFI_PASSWORD": password, "WIFI_COUNTRY": "DE"}
    text = seed(from_environment(environment))["network-config"]
    wifi = yaml.safe_load(text)["network"]["wifis"]["wlan0"]
    assert wifi["access-points"] == {ssid: {"password": password}}


@given(st.text(st.characters(codec="ascii"), min_size=0, max_size=40) | st.text(max_size=24))
@example('sixteen"quotes\\and#')
@example("üüüüüüüüüüüüüüüü")
def test_a_token_that_an_image_takes_is_one_that_the_service_takes(token: str) -> None:
    try:
        identity = from_environment({"WEB_TOKEN": token})
    except ImageError as error:
        assert str(error).startswith("WEB_TOKEN: ")
        assert len(token) < 8 or token not in str(error)
        return
    if not token:
        return
    (file,) = yaml.safe_load(seed(identity)["user-data"])["write_files"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fieldguide.toml"
        path.write_text(file["content"])
        output = sections.load(path).output
    assert output.web.token == output.prometheus.token == token


def test_the_private_half_of_a_key_never_gets_on_the_card(tmp_path: Path) -> None:
    path = tmp_path / "id"
    path.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n-----END OPENSSH PRIVATE KEY-----\n")
    with pytest.raises(ImageError, match="SSH_KEY"):
        from_environment({"SSH_KEY": str(path)})


def test_a_web_token_opens_the_page_to_the_network(tmp_path: Path) -> None:
    token = "0123456789abcdef"
    (file,) = parsed(seed(Identity(web_token=token))["user-data"])["write_files"]
    path = tmp_path / "fieldguide.toml"
    path.write_text(file["content"])
    output = sections.load(path).output
    for server in (output.web, output.prometheus):
        assert (server.enabled, server.address, server.token) == (True, "0.0.0.0", token)
    assert "fieldguide" in file["owner"] and file["permissions"] == "0640"


@given(
    st.from_regex(r"[a-z][a-z0-9]{0,20}", fullmatch=True),
    st.from_regex(r"[A-Za-z0-9]{16,40}", fullmatch=True),
)
def test_the_same_settings_are_the_same_instance(hostname: str, token: str) -> None:
    """cloud-init works once per instance: other settings on a new card must count again."""
    first = seed(Identity(hostname=hostname, web_token=token))
    assert seed(Identity(hostname=hostname, web_token=token)) == first
    assert (
        seed(Identity(hostname=f"{hostname}2", web_token=token))["meta-data"] != first["meta-data"]
    )


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for apt-get that prints what a file says."""
    program = tmp_path / "apt-get"
    program.write_text(f"#!/bin/sh\ncat {tmp_path}/known\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return tmp_path / "known"


def test_images_come_from_the_archive_that_apt_uses_here(apt: Path) -> None:
    apt.write_text("http://near.test/debian-security/\nhttp://near.test/debian/\n" * 2)
    assert archive_of_apt("debian") == "http://near.test/debian"
    assert archive_of_apt("debian-security") == "http://near.test/debian-security"


def test_without_an_archive_the_variable_to_set_is_named(apt: Path) -> None:
    apt.write_text("http://near.test/ubuntu/\n")
    with pytest.raises(ImageError, match="DEBIAN_MIRROR="):
        archive_of_apt("debian")
    with pytest.raises(ImageError, match="DEBIAN_SECURITY="):
        archive_of_apt("debian-security")


# --- signed releases ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url", ["https://me:pass%40word@fleet.example/public", "file:///media/fieldguide"]
)
def test_a_card_fetches_releases_from_the_first_boot_on(url: str, tmp_path: Path) -> None:
    root = tmp_path / "1.root.json"
    root.write_text('{"signed": {}}')
    identity = from_environment(
        {
            "UPDATE_URL": url,
            "UPDATE_NAME": "birds",
            "UPDATE_ROOT": str(root),
            "WEB_TOKEN": "0123456789abcdef",
        }
    )
    files = {f["path"]: f for f in parsed(seed(identity)["user-data"])["write_files"]}
    assert files["/etc/fieldguide-update/root.json"]["content"] == '{"signed": {}}'
    settings = tmp_path / "fieldguide.toml"
    settings.write_text(files["/etc/fieldguide/fieldguide.toml"]["content"])
    found = sections.load(settings)
    assert found.update.enabled and found.update.name == "birds"
    assert found.update.url == url
    assert found.output.web.enabled


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"UPDATE_ROOT": ""}, "UPDATE_ROOT"),
        ({"UPDATE_ROOT": "/nowhere/1.root.json"}, "UPDATE_ROOT"),
        ({"UPDATE_NAME": ""}, "UPDATE_NAME"),
        ({"UPDATE_NAME": "Birds!"}, "UPDATE_NAME"),
        ({"UPDATE_GROUP": "Garden"}, "UPDATE_GROUP"),
        ({"UPDATE_URL": "ftp://fleet.example"}, "UPDATE_URL"),
        ({"UPDATE_URL": "/media/fieldguide"}, "UPDATE_URL"),
    ],
)
def test_half_of_what_releases_need_is_told(
    change: dict[str, str], named: str, tmp_path: Path
) -> None:
    root = tmp_path / "1.root.json"
    root.write_text("{}")
    whole = {"UPDATE_URL": "https://a/b", "UPDATE_NAME": "birds", "UPDATE_ROOT": str(root)}
    assert from_environment(whole).update_name == "birds"
    with pytest.raises(ImageError, match=named):
        from_environment({**whole, **change})
