"""Promises of the address of releases: a web server's or a folder's; all else is one clear line."""

from pathlib import Path

import pytest

from device.errors import ConfigError
from device.settings.update import UpdateConfig, check_update, local_folder


def check(url: str) -> None:
    check_update(UpdateConfig(enabled=True, url=url, name="birds"))


@pytest.mark.parametrize(
    ("url", "folder"),
    [
        ("https://me:pass@fleet.example/public", None),
        ("http://[::1]:8000", None),
        ("file:///media/fieldguide", "/media/fieldguide"),
        ("FILE:///media/My%20stick/fleet/", "/media/My stick/fleet"),
        ("file:///media/my stick", "/media/my stick"),
    ],
)
def test_servers_and_folders_are_taken(url: str, folder: str | None) -> None:
    check(url)
    assert local_folder(url) == (folder and Path(folder))


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/media/fieldguide",
        "ftp://fleet.example",
        "rtsp://fleet.example",
        "file:/media/fieldguide",
        "file://media/fieldguide",
        "file://localhost/media/fieldguide",
        "file://media\\fieldguide",
        "file:///",
        "file:////",
        "file:///media/../etc",
        "file:///media/%2e%2e/etc",
        "file:///media/a%00b",
        "file:///media/a%0ab",
        "http:///public",
        "https://fleet.example/public?secret-word",
        "file:///media/fieldguide#secret-word",
    ],
)
def test_anything_else_is_one_line_that_says_what_to_write(url: str) -> None:
    with pytest.raises(ConfigError, match=r"^update\.url: [^\n]+$") as caught:
        check(url)
    assert "camera" not in str(caught.value) and "secret-word" not in str(caught.value)
