"""Keys of a fleet: passphrases, keys that were carried away, lost, damaged or replaced."""

from pathlib import Path

import pytest

from device.contract import bundle
from device.contract.release.rollout import Stage
from device.fleet.__main__ import main
from device.fleet.signing import roles
from tests.device.fleet.boards import Board
from tests.device.fleet.conftest import Good, Run, complaint, contents
from tests.support.device.tiny_bundle import TAR

SECRET = "correct horse battery staple"


@pytest.fixture
def locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fleet whose keys but the publisher's have a passphrase, which is not given any more."""
    file = tmp_path / "secret"
    file.write_text(f"{SECRET}\n")
    monkeypatch.setenv("FLEET_PASSPHRASE_FILE", str(file))
    folder = tmp_path / "locked"
    assert main(["init", f"--fleet={folder}"]) == 0
    monkeypatch.delenv("FLEET_PASSPHRASE_FILE")
    return folder


def test_a_passphrase_encrypts_all_keys_but_those_of_a_timer(locked: Path) -> None:
    plain = {p.name.rpartition("-")[0] for p in (locked / "keys").iterdir() if is_plain(p)}
    assert plain == {"rollout", "snapshot", "timestamp"}


def is_plain(path: Path) -> bool:
    return b"BEGIN PRIVATE KEY" in path.read_bytes()


def test_the_publisher_refreshes_without_a_passphrase(locked: Path) -> None:
    assert main(["refresh", f"--fleet={locked}"]) == 0


def test_the_passphrase_is_neither_printed_nor_written(
    locked: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FLEET_PASSPHRASE", SECRET)
    assert main(["publish", f"--fleet={locked}", "--name=birds", f"--bundle={TAR}"]) == 0
    said = capsys.readouterr()
    assert SECRET not in said.out + said.err
    assert not [path for path, data in contents(locked).items() if SECRET.encode() in data]


@pytest.mark.parametrize(
    ("given", "said"), [("wrong" * 3, "this passphrase does not open it"), ("", "open it")]
)
def test_a_wrong_passphrase_is_one_line_and_changes_nothing(
    locked: Path,
    given: str,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("FLEET_PASSPHRASE", given)
    before = contents(locked)
    assert main(["publish", f"--fleet={locked}", "--name=birds", f"--bundle={TAR}"]) == 1
    line = complaint(capsys)
    assert said in line and "targets-" in line
    assert contents(locked) == before


def test_without_a_terminal_it_says_where_a_passphrase_is_read_from(
    locked: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["publish", f"--fleet={locked}", "--name=birds", f"--bundle={TAR}"]) == 1
    assert "FLEET_PASSPHRASE_FILE" in complaint(capsys)


def test_a_file_of_a_passphrase_that_cannot_be_read_is_one_plain_line(
    locked: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    for name, said in (("none", "No such file or directory"), ("bytes", "no text")):
        path = tmp_path / name
        monkeypatch.setenv("FLEET_PASSPHRASE_FILE", str(path))
        assert main(["renew", f"--fleet={locked}", "--role=targets"]) == 1
        told = f"error: FLEET_PASSPHRASE_FILE={path}: {said}; nothing was changed"
        assert complaint(capsys) == told


@pytest.mark.parametrize(
    ("path", "said"), [("", " is empty: name a file"), ("{}/empty", "={}/empty: there is none")]
)
def test_no_file_of_a_passphrase_or_none_in_it_makes_no_key_without_one(
    path: str,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "empty").write_text("\n")
    monkeypatch.setenv("FLEET_PASSPHRASE_FILE", path.format(tmp_path))
    assert main(["init", f"--fleet={tmp_path / 'new'}"]) == 1
    assert f"FLEET_PASSPHRASE_FILE{said.format(tmp_path)}" in complaint(capsys)
    assert len(contents(tmp_path)) == 1


def test_a_short_passphrase_makes_no_fleet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FLEET_PASSPHRASE", "short")
    assert main(["init", f"--fleet={tmp_path / 'new'}"]) == 1
    assert "at least 12 characters" in complaint(capsys)
    assert not contents(tmp_path)


def carry_away(fleet: Path, role: str, to: Path) -> None:
    to.mkdir(exist_ok=True)
    for path in (fleet / "keys").glob(f"{role}-*.pem"):
        path.rename(to / path.name)


def test_root_keys_that_were_carried_away_are_used_from_where_they_are(
    run: Run, good: Good, fleet: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stick = tmp_path / "stick"
    carry_away(fleet, "root", stick)
    before = contents(fleet)
    assert run("keys", "--role=timestamp") == 1
    line = complaint(capsys)
    assert "2 of 3 keys, and 0 are here" in line and "KEYS=" in line
    assert contents(fleet) == before
    good("keys", "--role=timestamp", f"--keys={stick}")


def test_a_folder_of_keys_that_is_not_there_is_one_line(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("refresh", f"--keys={tmp_path / 'stick'}") == 1
    assert "is the stick there?" in complaint(capsys)


def test_a_key_under_another_keys_name_is_found_out(
    run: Run, fleet: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (timestamp,) = (fleet / "keys").glob("timestamp-*")
    (snapshot,) = (fleet / "keys").glob("snapshot-*")
    timestamp.write_bytes(snapshot.read_bytes())
    assert run("refresh") == 1
    assert "another key than its name says" in complaint(capsys)


def test_a_key_file_that_is_no_key_is_one_line(
    run: Run, fleet: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (timestamp,) = (fleet / "keys").glob("timestamp-*")
    timestamp.write_text("no key")
    assert run("refresh") == 1
    assert "not a private key" in complaint(capsys)


def test_a_maker_without_the_publishers_keys_hands_a_release_on(
    good: Good,
    fleet: Path,
    other_tar: Path,
    tmp_path: Path,
    board: Board,
    capsys: pytest.CaptureFixture[str],
) -> None:
    publisher = tmp_path / "publisher"
    for role in roles.PUBLISHER:
        carry_away(fleet, role, publisher)
    good("publish", "--name=birds", f"--bundle={other_tar}")
    assert "`make fleet-refresh` where they are" in capsys.readouterr().out
    assert board.updater().get_targetinfo("birds/2/release.json") is None
    good("refresh", f"--keys={publisher}")
    assert board.release("birds", 2)[1] == bundle.read_files(other_tar)


def test_the_keys_of_a_publisher_that_burned_down_are_replaced(
    run: Run, good: Good, fleet: Path, board: Board, capsys: pytest.CaptureFixture[str]
) -> None:
    board.updater()
    for role in roles.PUBLISHER:
        for path in (fleet / "keys").glob(f"{role}-*"):
            path.unlink()
    before = contents(fleet)
    assert run("keys", "--role=timestamp") == 1
    assert "snapshot is signed with 1 of 1 keys, and 0 are here" in complaint(capsys)
    assert contents(fleet) == before
    good("keys", *(f"--role={role}" for role in roles.PUBLISHER))
    good("promote", "--name=birds", "--percent=10")
    assert board.rollout().stage("all", "birds") == Stage(1, 10)
