"""Promises of `make deploy`, on systems that boot: see `boards`. Run by `make test-deploy`."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from copy import copy
from dataclasses import dataclass
from pathlib import Path

import pytest

from convert.pack.bundle import tar_bytes
from device.contract import bundle as contract
from tests.emulated.support import containers as boards
from tests.emulated.support.containers import Board
from tests.emulated.support.deploying import Run, make, write_settings
from tests.support.device.bundle_files import read_folder, resealed
from tests.support.peers.cameras import MjpegCamera, mjpeg_camera

LABELS_S = 60
"""For systems that share two cores."""
SLOT = "/var/lib/fieldguide/current/labels.txt"
AS_SERVICE = "env -C /opt/fieldguide runuser -u fieldguide -- /opt/fieldguide/venv/bin/fieldguide"


@dataclass
class Fleet:
    """Boards, a camera that they watch, and two bundles."""

    boards: Sequence[Board]
    camera: MjpegCamera
    folder: Path
    first: Path
    second: Path

    def make(self, goal: str, *boards: Board, **variables: object) -> Run:
        """`make deploy`, `make rollback` or `make status` of some boards, or all."""
        inventory = self.folder / "inventory.ini"
        inventory.write_text("".join(board.inventory() for board in boards or self.boards))
        given = {
            "HOSTS": inventory,
            "TAR": self.first,
            "SETTINGS": self.folder / "settings.toml",
            "LABELS_S": LABELS_S,
            **variables,
        }
        return make(goal, **given)

    def good(self, goal: str, *boards: Board, **variables: object) -> list[str]:
        """The lines that it prints; it must succeed."""
        done = self.make(goal, *boards, **variables)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.splitlines()


def labels(board: Board) -> str:
    """The labels of the bundle that is current there."""
    return board.ssh(f"cat {SLOT}").replace("\n", " ")


def errors(done: Run) -> list[str]:
    assert done.returncode != 0, done.stdout
    assert "Traceback" not in done.stderr, done.stderr
    return [line for line in done.stderr.splitlines() if line.startswith("error: ")]


@pytest.fixture(scope="module")
def fleet(tiny_bundle: Path) -> Iterator[Fleet]:
    """Three boards with nothing on them; the last has the newer Debian and a small disk."""
    boards.needs()
    systems = (("bookworm", ()), ("bookworm", ()), ("trixie", ("--tmpfs=/var/lib:size=8M",)))
    files = read_folder(tiny_bundle)
    other = resealed({**files, contract.LABELS: b"rouge\nvert\nbleu\n"})
    with ExitStack() as stack:
        folder = stack.enter_context(boards.memory())
        stack.enter_context(boards.bridge())
        camera = stack.enter_context(mjpeg_camera(5.0, boards.GATEWAY))
        write_settings(folder / "settings.toml", camera)
        for path, content in (("first.tar", files), ("second.tar", other)):
            (folder / path).write_bytes(tar_bytes(content))
        started = []
        for number, (suite, options) in enumerate(systems):
            started.append(Board(number, suite, folder, options))
            stack.callback(started[-1].power_off)
        yield Fleet(started, camera, folder, folder / "first.tar", folder / "second.tar")


def test_a_check_of_new_boards_changes_nothing(fleet: Fleet) -> None:
    lines = fleet.good("deploy", fleet.boards[0], ANSIBLE="--check")
    assert any(line.endswith("Install the unit") for line in lines)
    assert fleet.boards[0].ssh("ls -A /opt") == ""
    fleet.boards[0].ssh("ls /etc/fieldguide /etc/systemd/system/fieldguide.service", fails=True)


def test_new_boards_classify_and_a_second_run_changes_nothing(fleet: Fleet) -> None:
    fleet.good("deploy", BATCH=3)
    for board in fleet.boards:
        assert labels(board) == "red green blue"
        assert board.ssh("systemctl is-active fieldguide") == "active"
    lines = fleet.good("deploy", BATCH=3)
    assert lines == sorted(f"{board.address}: ok, changed=0" for board in fleet.boards)
    lines = fleet.good("deploy", BATCH=3, ANSIBLE="--check")
    assert lines == sorted(f"{board.address}: ok, changed=0" for board in fleet.boards)
    status = fleet.good("status")
    for board in fleet.boards:
        [line] = [line for line in status if line.startswith(f"{board.address}: ") and "|" in line]
        assert "frames/s, camera streaming | active | * slots/a: tiny, commit" in line


def test_settings_that_are_there_are_kept(fleet: Fleet) -> None:
    board = fleet.boards[0]
    board.ssh("sh -c 'echo \"# mine\" >> /etc/fieldguide/fieldguide.toml'")
    assert fleet.good("deploy", board)[-1].endswith("changed=0")
    assert board.ssh("tail -1 /etc/fieldguide/fieldguide.toml") == "# mine"


def test_a_new_bundle_runs_and_rollback_brings_the_one_before(fleet: Fleet) -> None:
    pair = fleet.boards[:2]
    fleet.good("deploy", *pair, BATCH=2)
    # As after `sudo fieldguide slots install`.
    pair[0].ssh("chown -R root:root /var/lib/fieldguide/slots")
    fleet.good("deploy", *pair, BATCH=2, TAR=fleet.second)
    assert [labels(board) for board in pair] == ["rouge vert bleu"] * 2
    fleet.good("rollback", *pair, BATCH=2)
    assert [labels(board) for board in pair] == ["red green blue"] * 2
    assert pair[0].ssh("systemctl is-active fieldguide") == "active"


def test_a_full_disk_stops_the_rollout_and_the_board_keeps_its_bundle(fleet: Fleet) -> None:
    small, *rest = reversed(fleet.boards)
    fleet.good("deploy", BATCH=3)
    small.ssh("dd if=/dev/zero of=/var/lib/filler bs=1k", fails=True)
    done = fleet.make("deploy", small, *rest, TAR=fleet.second)
    small.ssh("rm /var/lib/filler")
    said = errors(done)
    assert len(said) == 2 and "No space left on device" in said[0]
    assert "not deployed (install the bundle); now active, * slots/" in said[1]
    assert [labels(board) for board in fleet.boards] == ["red green blue"] * 3
    assert small.ssh("systemctl is-active fieldguide") == "active"
    assert not any(line.startswith(rest[0].address) for line in done.stdout.splitlines())


def test_a_bundle_that_fails_its_self_test_reaches_no_second_board(fleet: Fleet) -> None:
    fleet.good("deploy", BATCH=3)
    files = contract.read_files(fleet.first)
    forged = {**files, contract.MODEL: files[contract.MODEL][:9999]}
    (fleet.folder / "forged.tar").write_bytes(tar_bytes(resealed(forged)))
    done = fleet.make("deploy", TAR=fleet.folder / "forged.tar")
    said = errors(done)
    assert len(said) == 2 and "nothing was changed" in said[0]
    assert all(fleet.boards[0].address in line for line in said)
    assert [labels(board) for board in fleet.boards] == ["red green blue"] * 3


def test_a_board_that_sees_nothing_after_the_update_goes_back(fleet: Fleet) -> None:
    board = fleet.boards[0]
    fleet.good("deploy", board)
    fleet.camera.unplug()
    done = fleet.make("deploy", board, TAR=fleet.second, LABELS_S=10)
    fleet.camera.plug_in()
    said = errors(done)
    assert len(said) == 2 and "no labels within 10 s" in said[0]
    assert "now active, * slots/a: tiny" in said[1]
    assert labels(board) == "red green blue"
    # What failed is nothing to go back to.
    said = errors(fleet.make("rollback", board))
    assert "cannot go back to slots/b" in said[0] and "still on what ran before" in said[1]
    assert labels(board) == "red green blue"
    assert board.ssh("systemctl is-active fieldguide") == "active"


def test_a_deployment_that_was_cut_short_is_undone_by_the_next_that_fails(fleet: Fleet) -> None:
    board = fleet.boards[0]
    fleet.good("deploy", board)
    # As if the connection had broken before the service was asked for its health.
    board.put(fleet.second, "/opt/fieldguide/second.tar")
    board.ssh(f"{AS_SERVICE} slots install --trial /opt/fieldguide/second.tar")
    board.ssh("systemctl restart fieldguide")
    assert labels(board) == "rouge vert bleu"
    fleet.camera.unplug()
    done = fleet.make("deploy", board, TAR=fleet.second, LABELS_S=10)
    fleet.camera.plug_in()
    assert "no labels within 10 s" in errors(done)[0]
    assert labels(board) == "red green blue"


def test_what_a_person_installed_is_what_a_failing_deployment_goes_back_to(fleet: Fleet) -> None:
    board = fleet.boards[0]
    fleet.good("deploy", board)
    board.put(fleet.second, "/opt/fieldguide/second.tar")
    board.ssh("/opt/fieldguide/venv/bin/fieldguide slots install /opt/fieldguide/second.tar")
    # Root leaves nothing there that the service's user could not clear away.
    assert board.ssh("find /var/lib/fieldguide ! -user fieldguide") == ""
    forged = fleet.folder / "forged.tar"
    files = contract.read_files(fleet.first)
    forged.write_bytes(tar_bytes(resealed({**files, contract.MODEL: files[contract.MODEL][:9999]})))
    errors(fleet.make("deploy", board, TAR=forged))
    assert labels(board) == "rouge vert bleu"
    fleet.camera.unplug()
    third = fleet.folder / "third.tar"
    third.write_bytes(tar_bytes(resealed({**files, contract.LABELS: b"1\n2\n3\n"})))
    done = fleet.make("deploy", board, TAR=third, LABELS_S=10)
    fleet.camera.plug_in()
    assert "no labels within 10 s" in errors(done)[0]
    assert labels(board) == "rouge vert bleu"


def test_settings_are_nobody_else_s_to_read_and_the_doctor_says_how(fleet: Fleet) -> None:
    board, path = fleet.boards[0], "/etc/fieldguide/fieldguide.toml"
    board.ssh(f"chmod 644 {path}")
    board.ssh("chmod 755 /etc/fieldguide")
    fleet.good("deploy", board)
    assert board.ssh(f"stat -c %a:%U:%G {path} /etc/fieldguide").split() == [
        "640:root:fieldguide",
        "750:root:fieldguide",
    ]
    doctor = "/opt/fieldguide/venv/bin/fieldguide doctor"
    board.ssh(f"-u nobody cat {path}", fails=True)
    said = board.ssh(f"sh -c '{AS_SERVICE.replace('fieldguide --', 'nobody --')} doctor; true'")
    (line,) = [line for line in said.splitlines() if " settings: " in line]
    assert line.startswith("FAILED") and f"sudo -u fieldguide {doctor}" in line
    said = board.ssh(f"sh -c 'sudo -u fieldguide {doctor}; true'")
    assert any(line.startswith("ok ") and " settings: " in line for line in said.splitlines())


def test_a_board_that_is_told_to_be_slow_is_deployed_to(fleet: Fleet) -> None:
    board, path = fleet.boards[0], "/etc/fieldguide/fieldguide.toml"
    fleet.good("deploy", board)
    board.ssh(f"sed -i.before 's/^max_fps = .*/max_fps = 0.1/' {path}")
    assert "0.1" in board.ssh(f"grep max_fps {path}")
    before = labels(board)
    other = fleet.second if before == "red green blue" else fleet.first
    fleet.good("deploy", board, TAR=other)
    assert labels(board) != before
    board.ssh(f"mv {path}.before {path}")
    fleet.good("deploy", board)


def test_a_board_set_up_by_hand_is_deployed_to_and_keeps_what_it_had(fleet: Fleet) -> None:
    """It has a venv where others have a link, and nothing else of a release."""
    board = fleet.boards[1]
    fleet.good("deploy", board)
    board.ssh(
        "sh -c 'cd /opt/fieldguide && cp -a $(readlink -f venv) copy && rm venv confirmed "
        "&& mv copy venv && rm -r releases/*/ready'"
    )
    board.put(fleet.second, "/opt/fieldguide/second.tar")
    board.ssh(f"{AS_SERVICE} slots install /opt/fieldguide/second.tar")
    fleet.good("rollback", board)
    assert labels(board) == "red green blue"
    fleet.good("deploy", board, TAR=fleet.second)
    assert labels(board) == "rouge vert bleu"
    assert board.ssh("readlink /opt/fieldguide/confirmed").startswith("releases/")
    assert board.ssh("test -x /opt/fieldguide/releases/found/venv/bin/fieldguide && echo kept")


def test_a_32_bit_board_is_refused_and_the_others_of_its_batch_go_on(fleet: Fleet) -> None:
    """With a share of failures allowed; an i686 personality stands in for a 32-bit system."""
    old = Board(8, "bookworm", fleet.folder, ("--personality=x86",))
    try:
        done = fleet.make("deploy", old, fleet.boards[0], BATCH=2, MAX_FAIL=50, TAR=fleet.second)
    finally:
        old.power_off()
    said = errors(done)
    assert len(said) == 2 and "it needs a 64-bit system with Python 3.11 to 3.13" in said[0]
    assert labels(fleet.boards[0]) == "rouge vert bleu"


def test_a_board_that_is_off_stops_the_rollout_as_one_that_fails(fleet: Fleet) -> None:
    fleet.good("deploy", BATCH=3)
    off = copy(fleet.boards[0])
    off.address = f"{boards.SUBNET}.99"
    done = fleet.make("deploy", fleet.boards[0], off, *fleet.boards[1:], BATCH=2, TAR=fleet.second)
    said = errors(done)
    assert "is it on, and does `ssh` to it work?" in said[0]
    assert said[1:] == [f"error: {off.address}: nothing was done on it"]
    assert [labels(board) for board in fleet.boards] == ["red green blue"] * 3


def test_a_board_that_is_off_is_one_line(fleet: Fleet) -> None:
    done = make("status", HOST=f"pi@{boards.SUBNET}.99")
    [line] = errors(done)
    assert "10.83.0.99" in line and "is it on, and does `ssh` to it work?" in line


def test_no_board_named_is_one_line_before_anything_is_built(tmp_path: Path) -> None:
    for goal in ("deploy", "rollback", "status"):
        done = make(goal, BUILD=tmp_path / "build")
        assert done.returncode == 2 and not (tmp_path / "build").exists()
        assert len(done.stderr.splitlines()) == 1 and "HOST=user@board" in done.stderr


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"HOSTS": "nowhere.ini"}, "nowhere.ini: no such inventory"),
        ({"HOSTS": "tests"}, "tests: no such inventory"),
        ({"HOST": "pi@a", "HOSTS": "Makefile"}, "HOST or HOSTS, not both"),
        ({"HOST": "pi@a", "BATCH": "abc"}, "BATCH=abc: a whole number or a share"),
        ({"HOST": "pi@a", "MAX_FAIL": "-1"}, "MAX_FAIL=-1: a whole number"),
        ({"HOST": "pi@a", "LABELS_S": "soon"}, "LABELS_S=soon: a whole number"),
        ({"HOST": "pi@a", "SETTINGS": "none.toml"}, "none.toml: no such file"),
        ({"HOST": "pi@a", "TAR": "none.tar"}, "none.tar: no such bundle"),
    ],
)
def test_a_mistake_is_one_line_before_anything_is_built(
    given: dict[str, str], told: str, tmp_path: Path
) -> None:
    done = make("deploy", BUILD=tmp_path / "build", **given)
    assert done.returncode == 2 and not (tmp_path / "build").exists()
    assert len(done.stderr.splitlines()) == 1 and told in done.stderr


def test_an_inventory_without_boards_is_no_success(tmp_path: Path) -> None:
    boards.needs()
    (tmp_path / "empty.ini").touch()
    done = make("status", HOSTS=tmp_path / "empty.ini")
    assert errors(done) == ["error: no board in the inventory: name some in HOSTS"]
