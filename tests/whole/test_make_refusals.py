"""What is refused costs no installation: make asks with any Python, before it makes anything."""

import json
import sys
from pathlib import Path

import pytest

from tests.support.builds.workshop import Workshop

PYTHON = f"""#!/bin/sh
[ "$2" = venv ] && {{ echo "an installation begins" >&2; exit 9; }}
exec {sys.executable} -S "$@"
"""
"""Without packages, as on a machine where nothing was installed."""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["ENGINE=ray"], "ENGINE=ray needs RAY_ADDRESS="),
        (["ENGINE=ray", "RAY_ADDRESS=ray://head:1"], "give HOST:PORT"),
        (["ENGINE=ray", "RAY_ADDRESS=ray://head:1", "setup"], "an installation begins"),
        (["ENGINE=ray", "RAY_ADDRESS=auto"], "an installation begins"),
        (
            ["ENGINE=ray", "RAY_ADDRESS=auto", "RAY_STORE=foo://work"],
            "RAY_STORE=foo://...: no such protocol; give one of s3://, ",
        ),
        (["RAY_STORE=foo://work"], "an installation begins"),
        (["SIZE=100"], "give a multiple of 32"),
        (["DATA=no-such-folder"], "DATA=no-such-folder: no such folder"),
        (["DATA=foo://birds"], "foo://...: no such protocol; give one of s3://, "),
        (["DATA=s3://"], "DATA=s3://: name what to read there, such as s3://birds"),
        (["EVENT_S=soon"], "EVENT_S=soon: give seconds, 0 or more"),
        (["EVENTS=none.csv"], "EVENTS=none.csv: no such file"),
        (["FILM_FPS=0"], "FILM_FPS=0: give frames a second, above 0 and up to 30"),
        (["SOURCE=none.mp4"], "SOURCE=none.mp4: no such folder, video file or camera"),
        (["run", "SOURCE=none.mp4"], "SOURCE=none.mp4: no such folder, video file or camera"),
        (["run", "SOURCE=rtsp://garden.local/"], "an installation begins"),
        (["sweep", "SWEEP=mobilenet-v9"], "no backbone is called mobilenet-v9"),
        (["deploy", "HOST=a", "UPDATE_NAME=Birds"], "UPDATE_NAME: up to 32 of a-z"),
        (["deploy", "HOST=a", "UPDATE_GROUP=a b"], "UPDATE_GROUP: up to 32 of a-z"),
        (
            ["deploy", "HOST=a", "UPDATE_NAME=birds", "UPDATE_URL=ftp://me:secret@x"],
            "UPDATE_URL: write http:// or https://",
        ),
        (["deploy", "HOST=a", "UPDATE_ROOT=README.md"], "README.md is not root metadata"),
        (["deploy", "HOST=a", "EDGETPU=none.deb"], "EDGETPU=none.deb: no such file"),
        (["image", "IMAGE_HOSTNAME=My Board"], "IMAGE_HOSTNAME: lower-case letters"),
        (["image", "WIFI_PASSWORD=secret"], "WIFI_PASSWORD: a password of 8 to 63"),
        (["image", "BASE=none.img"], "BASE=none.img: no such image"),
        (["flash"], "name the card: DISK=/dev/sdX"),
        (["flash", "DISK=/dev/none"], "DISK=/dev/none: no such disk"),
        (["flash", "DISK=/dev/null", "FLASH_LIMIT_GB=big"], "FLASH_LIMIT_GB=big: a whole number"),
        (["flash", "DISK=/dev/null"], "fieldguide.img is not there: make it with `make image`"),
        (["DATA=no-such-folder", "field"], "DATA=no-such-folder: no such folder"),
        (["field"], "name the folder of sorted photos: DATA=folder"),
        (["publish", "FLEET=f", "NAME=n", "BUNDLE=none.tar"], "BUNDLE=none.tar: no such file"),
        (["DATA=rendered"], "an installation begins"),
        ([], "an installation begins"),
    ],
)
def test_a_setting_that_is_refused_costs_no_installation(
    workshop: Workshop, tmp_path: Path, arguments: list[str], said: str
) -> None:
    python = tmp_path / "python"
    python.write_text(PYTHON)
    python.chmod(0o755)
    workshop.uninstall()
    refused = workshop.run(f"PYTHON={python}", *arguments)
    assert refused.returncode == 2 and said in refused.stderr, refused.stderr
    assert "secret" not in refused.stderr
    assert ("setting up" in refused.stdout) == (said == "an installation begins")


def names_of_a_fleet(folder: Path) -> None:
    """What a fleet's folder says before anybody compares signatures."""
    rollout = b'{"schema": 1, "groups": {"garden": {}}}'
    signed = {"signed": {"targets": {"rollout.json": {"hashes": {"sha256": "ab"}}}}}
    for name, text in {
        "metadata/timestamp.json": b"",
        "metadata/3.model-birds.json": b"",
        "metadata/2.rollout.json": json.dumps(signed).encode(),
        "targets/ab.rollout.json": rollout,
    }.items():
        path = folder / "public" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("publish NAME=Birds", "'Birds' is no name of releases"),
        ("publish NAME=brids", "(did you mean 'birds'?): if it is to begin, give NEW=1"),
        ("publish NAME=software", "the device package: `make publish-software`"),
        ("publish-software SYSTEMS=3.11", "'3.11': write Python, machine and glibc"),
        ("promote NAME=brids PERCENT=1", "there are birds, software (did you mean 'birds'?)"),
        ("promote NAME=birds PERCENT=ten", "'ten' is no number"),
        ("promote NAME=birds PERCENT=200", "PERCENT=200: 0 to 100"),
        ("promote NAME=birds PERCENT=1 RELEASE=new", "'new': give the number of a release"),
        ("promote NAME=birds PERCENT=1 GROUP=gardne", "(did you mean 'garden'?)"),
        ("halt NAME=birds GROUP=gardne", "there are all, garden (did you mean 'garden'?)"),
        ("ramp NAME=birds MQTT=none.toml", "MQTT=none.toml: no such file"),
        ("ramp NAME=birds BOARDS=none.txt", "none.txt: No such file"),
        ("ramp NAME=birds BOARDS=README.md WINDOW=days", "'days': give 0 to 8760 hours"),
        ("fleet-status BOARDS=README.md", "README.md: line 3: write http://"),
        ("fleet-keys ROLE=targts", "(did you mean 'targets'?)"),
        ("fleet-renew ROLE=model-brids", "(did you mean 'model-birds'?)"),
        ("fleet-refresh KEYS=none", "KEYS=none: no such folder; is the stick there?"),
        ("fleet-tidy FLEET=none", "none: no such folder; make one with `make fleet-init`"),
        ("fleet-init FLEET=README.md", "README.md is no folder"),
        ("halt NAME=birds GROUP=garden", "an installation begins"),
        ("halt NAME=birds GROUP=gardne NEW=1", "an installation begins"),
        ("publish NAME=frogs NEW=1", "an installation begins"),
    ],
)
def test_a_command_of_a_fleet_that_is_refused_costs_no_installation(
    workshop: Workshop, tmp_path: Path, arguments: str, said: str
) -> None:
    names_of_a_fleet(tmp_path / "fleet")
    python = tmp_path / "python"
    python.write_text(PYTHON)
    python.chmod(0o755)
    refused = workshop.run(f"PYTHON={python}", f"FLEET={tmp_path}/fleet", *arguments.split())
    assert refused.returncode == 2 and said in refused.stderr, refused.stderr
    began = said == "an installation begins"
    assert began or len(refused.stderr.splitlines()) == 1
    assert ("setting up" in refused.stdout) == began
