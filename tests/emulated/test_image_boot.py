"""Promises of the card: the very image boots emulated boards, classifies, and survives its plug.

`make test-image` makes the image and runs this on each machine in BOOTS; "stock" is a stock system
that `make image BASE=` made ours, on the virtual machine.
"""

import json
import os
import random
import shutil
import subprocess
import tarfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from convert.pack import bundle
from device.contract import bundle as contract
from device.image import archive
from device.image.customise import INSTALL
from device.image.layout import DATA, ROOT_B
from tests.emulated.support import stock_image
from tests.emulated.support.cards import (
    COMMAND,
    HOSTNAME,
    IMAGE,
    LABELLED,
    TOKEN,
    USER,
    active_within,
    owned,
    settled,
    verified,
)
from tests.emulated.support.qemu_board import CARD_BYTES, PATIENCE_S, Board, insert
from tests.support.places import BUILD, ROOT

MACHINES = os.environ.get("FIELDGUIDE_BOOTS", "").split()
CUTS = int(os.environ.get("FIELDGUIDE_CUTS", "0"))
STOCK = "stock"
NO_NETWORK = "QEMU's raspi3b has no network card that Debian's kernel drives"
ANOTHER = "another bundle"
pytestmark = pytest.mark.skipif(not MACHINES, reason="boots take minutes: make test-image")


@pytest.fixture(scope="module", params=MACHINES or ["virt"])
def board(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, key: Path
) -> Iterator[Board]:
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == STOCK:
        booted = Board(insert(customised(folder), folder), folder, "virt", has_data=False)
        owned(booted.card, key, each_boot=INSTALL)
    else:
        booted = Board(insert(IMAGE, folder), folder, request.param)
        owned(booted.card, key)
    booted.power_on()
    try:
        booted.wait_for_shell()
        yield booted
    finally:
        booted.cut_power()


def customised(folder: Path) -> Path:
    """A stock image with what `make image BASE=` writes on its boot partition."""
    base = folder / "raspios.img"
    stock_image.make(IMAGE.parent, base)
    command = ["make", "image", f"BUILD={BUILD}", f"BASE={base}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return IMAGE.with_name("raspios-fieldguide.img")


def ask(board: Board, port: str, path: str) -> bytes:
    request = urllib.request.Request(
        f"http://127.0.0.1:{board.ports[port]}{path}", headers={"Authorization": f"Bearer {TOKEN}"}
    )
    with urllib.request.urlopen(request, timeout=120) as answer:
        data: bytes = answer.read()
        return data


def shown(board: Board, *names: str) -> list[str]:
    options = " ".join(f"-p {name}" for name in names)
    said = board.run(f"systemctl show fieldguide --value {options}")
    return said.split()


def test_the_service_is_up_after_its_self_test(board: Board) -> None:
    settled(board)
    assert shown(board, "ActiveState", "SubState") == ["active", "running"]


def test_the_bundle_passes_its_golden_outputs(board: Board) -> None:
    said = board.run(f"{COMMAND} selftest --bundle /var/lib/fieldguide/current")
    assert "self-test passed" in said, said


def test_frames_of_the_camera_become_json_lines_on_the_console(board: Board) -> None:
    record = json.loads(board.wait_for(LABELLED)[1])
    assert record["source"].startswith("/dev/video0#"), record
    with tarfile.open(BUILD / "bundle.tar") as tar:
        labels = tar.extractfile("labels.txt")
        assert labels is not None
        assert set(record["top"]) <= set(labels.read().decode().split())


def test_inferences_feed_the_watchdog(board: Board) -> None:
    before = int(shown(board, "WatchdogTimestampMonotonic")[0])
    time.sleep(20)
    after = int(shown(board, "WatchdogTimestampMonotonic")[0])
    assert after > before > 0
    assert shown(board, "NRestarts") == ["0"]


def test_the_first_boot_makes_the_board_its_owners(board: Board) -> None:
    assert board.run("hostname").strip() == HOSTNAME
    assert board.run(f"sudo -u {USER} sudo -n id -u").strip() == "0"


def test_its_owner_comes_in_by_ssh_with_the_key_and_nobody_with_a_password(
    board: Board, key: Path
) -> None:
    if board.machine == "raspi3b":
        pytest.skip(NO_NETWORK)
    assert ssh(board, key, "sudo hostname") == f"{HOSTNAME}\n"
    assert "no" in board.run("sshd -T | grep -i ^passwordauthentication").split()


def ssh(board: Board, key: Path, command: str) -> str:
    options = ("BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null")
    words = [word for option in options for word in ("-o", option)]
    where = ("-p", str(board.ports["ssh"]), f"{USER}@127.0.0.1")
    done = subprocess.run(
        ["ssh", "-i", key, *words, *where, command], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_answers_to_its_name_on_the_network(board: Board) -> None:
    if not board.has_data:
        pytest.skip("a stock system has its own way")
    if board.machine == "raspi3b":
        pytest.skip(NO_NETWORK)
    assert "yes" in board.run("resolvectl mdns eth0").split()


def test_the_data_take_the_rest_of_the_card(board: Board) -> None:
    if not board.has_data:
        pytest.skip("a stock system has no partition for them")
    size = int(board.run("df --output=size -B1 /var/lib/fieldguide | tail -n 1"))
    rest = CARD_BYTES - DATA.start_bytes
    # A file system takes some of it for itself; before it grew it had a third.
    assert 0.9 * rest < size < rest and rest > 2 * DATA.size_bytes


def test_page_and_metrics_answer_through_a_forwarded_port(board: Board) -> None:
    if board.machine == "raspi3b":
        pytest.skip(NO_NETWORK)
    assert b"<html" in ask(board, "page", "/")
    health = json.loads(ask(board, "page", "/health"))
    families = {
        family.name: family
        for family in text_string_to_metric_families(ask(board, "metrics", "/metrics").decode())
    }
    assert health and families


def test_it_powers_off_cleanly(board: Board) -> None:
    """The last one of its board: service stopped, file systems unmounted."""
    text = board.power_off()
    assert "Stopped fieldguide.service" in text
    assert "Unmounted var-lib-fieldguide.mount" in text or not board.has_data
    assert "Failed unmounting" not in text


# --- the plug pulled -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def updates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A disk with the image's bundle and one that differs in its name, as first.tar, second.tar."""
    first = contract.read_files(BUILD / "bundle.tar")
    manifest = contract.parse_manifest(first["manifest.json"])
    second = {
        **first,
        "manifest.json": contract.seal_manifest({**manifest, "name": ANOTHER}),
    }
    path = tmp_path_factory.mktemp("updates") / "updates.img"
    tars = {"first.tar": bundle.tar_bytes(first), "second.tar": bundle.tar_bytes(second)}
    archive.write(path, archive.of_files(tars))
    return path


@pytest.fixture(scope="module")
def plugged(updates: Path, tmp_path_factory: pytest.TempPathFactory, key: Path) -> Iterator[Board]:
    """A board that has been set up, and is off."""
    folder = tmp_path_factory.mktemp("plugged")
    card = insert(IMAGE, folder)
    owned(card, key)
    board = Board(card, folder, "virt", updates)
    board.power_on()
    try:
        board.wait_for_shell()
        settled(board)
        board.power_off()
        yield board
    finally:
        board.cut_power()


@pytest.mark.skipif("virt" not in MACHINES, reason="the updates come on a virtio disk")
@pytest.mark.parametrize("cut", range(CUTS))
def test_a_power_cut_during_an_update_leaves_a_verified_bundle(plugged: Board, cut: int) -> None:
    plugged.power_on()
    plugged.wait_for_shell()
    current = verified(plugged)
    # By name: an update after a cut may go into the very slot that it finds current.
    newer = "first" if current["name"] == ANOTHER else "second"
    plugged.run("mkdir -p /run/updates && tar -xf /dev/vdb -C /run/updates")
    # From its self-test on it writes: that takes about as long as the longest delay here. Again if
    # the self-test, emulated and beside the service, takes longer than the minute that it is given.
    plugged.send(
        f"(until {COMMAND} slots install /run/updates/{newer}.tar; do :; done) & "
        "until [ -e /var/lib/fieldguide/slots/new ]; do sleep 0.01; done; echo wri''ting"
    )
    plugged.wait_for_line("shell", "writing")
    time.sleep(random.Random(cut).uniform(0, 2))
    plugged.cut_power()

    plugged.power_on()
    plugged.wait_for_shell()
    first = contract.load(BUILD / "bundle.tar").name
    assert verified(plugged)["name"] in (first, ANOTHER)
    plugged.run(active_within(PATIENCE_S))
    plugged.wait_for(LABELLED)
    plugged.power_off()


long = pytest.mark.skipif(not CUTS, reason="more boots and more minutes: CUTS=1 or more")


@long
@pytest.mark.skipif("virt" not in MACHINES, reason="the machine that has a network")
def test_a_card_is_deployed_to_like_any_other_board(
    plugged: Board, key: Path, tmp_path: Path
) -> None:
    plugged.power_on()
    plugged.wait_for_shell()
    plugged.run(active_within(PATIENCE_S))
    hosts = tmp_path / "inventory.ini"
    hosts.write_text(
        f"127.0.0.1 ansible_port={plugged.ports['ssh']} ansible_user={USER} "
        f"ansible_ssh_private_key_file={key} "
        f"ansible_ssh_common_args='-o UserKnownHostsFile={tmp_path / 'known'}'\n"
    )
    tar = shutil.copy(BUILD / "bundle.tar", tmp_path)
    given = (f"BUILD={BUILD}", f"HOSTS={hosts}", f"TAR={tar}", f"LABELS_S={PATIENCE_S:.0f}")
    done = subprocess.run(
        ["make", "deploy", *given], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert plugged.run("readlink /opt/fieldguide/confirmed").startswith("releases/")
    assert plugged.run("readlink /var/lib/fieldguide/confirmed").startswith("slots/")
    assert "image" in plugged.run("ls /opt/fieldguide/releases")
    plugged.power_off()


@long
@pytest.mark.skipif("virt" not in MACHINES, reason="the machine that powers off by itself")
def test_the_other_system_boots_too(plugged: Board) -> None:
    """What `cmdline=` in config.txt asks of a Pi's firmware, asked of the emulator here."""
    plugged.power_on(root=f"PARTUUID={ROOT_B.partuuid}")
    plugged.wait_for_shell()
    # Read from the disk: right after the boot udev may not know it yet.
    assert ROOT_B.name in plugged.run("blkid -p -o value -s LABEL $(findmnt -no SOURCE /)")
    plugged.run(active_within(PATIENCE_S))
    plugged.wait_for(LABELLED)
    plugged.power_off()
