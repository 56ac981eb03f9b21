"""What the commands say: what will happen before it does, and one line with the way out."""

import errno
import os
from datetime import timedelta
from pathlib import Path

import pytest

from device.contract import bundle
from device.contract.release.rollout import Stage
from device.fleet.__main__ import main
from device.fleet.releases import KEPT, numbers, read_rollout
from device.fleet.signing import roles
from device.fleet.signing.folder import Fleet, changing
from device.fleet.signing.state import read
from tests.device.fleet.boards import Board
from tests.device.fleet.conftest import Good, Run, complaint, contents
from tests.support.device.tiny_bundle import TAR


def offered(fleet: Path, group: str = "all") -> Stage | None:
    return read_rollout(Fleet(fleet), read(Fleet(fleet))).stage(group, "birds")


def test_two_commands_make_a_release(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fleet = f"--fleet={tmp_path / 'new'}"
    assert main(["init", fleet]) == 0
    assert main(["publish", fleet, "--name=birds", f"--bundle={TAR}"]) == 0
    said = capsys.readouterr().out
    assert "NOT encrypted" in said and "carry away" in said
    # What will happen is said before what did.
    assert said.index("signs ") < said.index("birds/1 is signed")
    assert "no board is offered it before `make promote`" in said


def test_a_fleet_is_never_made_over_another(
    run: Run, fleet: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(fleet)
    assert run("init") == 1
    assert "is a fleet already" in complaint(capsys)
    assert contents(fleet) == before


def test_the_same_bundle_again_is_the_same_release(
    good: Good, fleet: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(fleet)
    good("publish", "--name=birds", f"--bundle={TAR}")
    assert "birds/1 has the same files already" in capsys.readouterr().out
    assert contents(fleet) == before


def test_the_old_bundle_after_another_gets_a_higher_number(
    good: Good, other_tar: Path, board: Board
) -> None:
    good("publish", "--name=birds", f"--bundle={other_tar}")
    good("publish", "--name=birds", f"--bundle={TAR}")
    assert board.release("birds", 3)[1] == bundle.read_files(TAR)
    assert board.release("birds", 2)[1] == bundle.read_files(other_tar)


def test_a_bundle_that_is_damaged_is_not_signed(
    run: Run, fleet: Path, other_tar: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (other_tar / "labels.txt").write_text("x\n")
    before = contents(fleet)
    assert run("publish", "--name=birds", f"--bundle={other_tar}") == 1
    assert "labels.txt" in complaint(capsys)
    assert contents(fleet) == before


@pytest.mark.parametrize("name", ["", "Birds", "a/b", "..", "rollout", "wheels", "-x", "a b"])
def test_a_name_that_no_folder_can_have_is_refused(
    run: Run, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("publish", f"--name={name}", f"--bundle={TAR}") == 1
    assert "no name of releases" in complaint(capsys)


# --- stages ---------------------------------------------------------------------------------------


def test_a_stage_rises_and_says_so(
    good: Good, fleet: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good("promote", "--name=birds", "--percent=1")
    good("promote", "--name=birds", "--percent=10", "--group=garden", "--new")
    assert offered(fleet) == Stage(1, 1)
    assert offered(fleet, "garden") == Stage(1, 10)
    assert "boards of garden: 10% are offered birds/1" in capsys.readouterr().out


def test_a_percentage_falls_only_if_that_is_said(
    run: Run, good: Good, fleet: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good("promote", "--name=birds", "--percent=50")
    capsys.readouterr()
    assert run("promote", "--name=birds", "--percent=10") == 1
    assert "is at 50%: LOWER=1" in complaint(capsys)
    assert offered(fleet) == Stage(1, 50)
    good("promote", "--name=birds", "--percent=10", "--lower")
    assert offered(fleet) == Stage(1, 10)


def test_a_halted_release_goes_on_only_if_that_is_said(
    run: Run, good: Good, fleet: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good("promote", "--name=birds", "--percent=50")
    good("halt", "--name=birds")
    assert offered(fleet) == Stage(1, 50, halted=True)
    capsys.readouterr()
    assert run("promote", "--name=birds", "--percent=100") == 1
    assert "is halted" in complaint(capsys)
    good("promote", "--name=birds", "--percent=100", "--resume")
    assert offered(fleet) == Stage(1, 100)


def test_boards_that_wait_keep_the_release_that_all_had(
    good: Good, fleet: Path, other_tar: Path
) -> None:
    good("promote", "--name=birds", "--percent=100")
    good("publish", "--name=birds", f"--bundle={other_tar}")
    good("promote", "--name=birds", "--percent=10")
    assert offered(fleet) == Stage(2, 10, base=1)
    good("publish", "--name=birds", f"--bundle={TAR}")
    good("promote", "--name=birds", "--percent=10")
    assert offered(fleet) == Stage(3, 10, base=1)


def test_no_board_is_sent_to_a_lower_number(
    run: Run, good: Good, other_tar: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good("publish", "--name=birds", f"--bundle={other_tar}")
    good("promote", "--name=birds", "--percent=10")
    capsys.readouterr()
    assert run("promote", "--name=birds", "--percent=10", "--release=1") == 1
    assert "publish the old bundle again" in complaint(capsys)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--percent=101"], "PERCENT=101: "),
        (["--percent=nan"], "PERCENT=nan"),
        (["--percent=10", "--group=../x"], "GROUP=../x"),
        (["--percent=10", "--release=7"], "there is no birds/7; the newest is 1"),
    ],
)
def test_a_stage_that_makes_no_sense_is_refused(
    run: Run, options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("promote", "--name=birds", *options) == 1
    assert said in complaint(capsys)


def test_what_is_not_published_is_neither_offered_nor_halted(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("promote", "--name=frogs", "--percent=10") == 1
    assert "nothing is published as frogs" in complaint(capsys)
    assert run("halt", "--name=frogs") == 1
    assert "nothing is published as frogs" in complaint(capsys)
    assert run("halt", "--name=birds") == 1
    assert "nothing to halt" in complaint(capsys)


def test_old_releases_that_nobody_is_offered_are_signed_no_longer(
    good: Good, fleet: Path, other_tar: Path
) -> None:
    good("promote", "--name=birds", "--percent=100")
    for number in range(KEPT + 2):
        again = TAR if number % 2 else other_tar
        good("publish", "--name=birds", f"--bundle={again}")
    kept = numbers(read(Fleet(fleet)), "birds")
    assert kept == [1, *range(4, KEPT + 4)]


# --- time, disk, folder ---------------------------------------------------------------------------


def at(days: int, monkeypatch: pytest.MonkeyPatch) -> None:
    moment = roles.now() + timedelta(days=days)
    for module in ("signing.roles", "signing.state", "upkeep"):
        monkeypatch.setattr(f"device.fleet.{module}.now", lambda: moment)


def test_an_expired_role_says_how_it_is_renewed(
    run: Run,
    good: Good,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    other_tar: Path,
) -> None:
    at(400, monkeypatch)
    assert run("publish", "--name=birds", f"--bundle={other_tar}") == 1
    line = complaint(capsys)
    assert "targets expired on" in line and "`make fleet-renew ROLE=targets`" in line
    good("renew", "--role=targets")
    good("publish", "--name=birds", f"--bundle={other_tar}")


def test_refreshing_warns_of_roles_that_a_person_must_sign(
    good: Good, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    good("refresh")
    assert not capsys.readouterr().err
    at(300, monkeypatch)
    good("refresh")
    err = capsys.readouterr().err
    assert "targets expires in 6" in err and "root" not in err


def test_refreshing_keeps_rollout_and_snapshot_from_expiring(
    good: Good, fleet: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(4):
        at(10, monkeypatch)
        good("refresh")
        state = read(Fleet(fleet))
        for role in roles.PUBLISHER:
            signed = state.signed(role)
            assert signed is not None and (signed.expires - roles.now()).days >= 6


def test_refreshing_names_keys_that_nobody_needs_any_more(
    good: Good, fleet: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (old,) = (fleet / "keys").glob("model-birds-*")
    good("keys", "--role=model-birds")
    good("refresh")
    assert f"{old} signs for no role: destroy it" in capsys.readouterr().err
    old.unlink()
    good("refresh")
    assert not capsys.readouterr().err


def test_an_unknown_role_names_those_that_exist(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in ("keys", "renew"):
        assert run(command, "--role=model-frogs") == 1
        printed = capsys.readouterr()
        assert "model-birds" in printed.err and len(printed.err.splitlines()) == 1
        # Nothing is announced that cannot be.
        assert printed.out == ""


def test_a_folder_that_is_no_fleet_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        assert main(["refresh", f"--fleet={folder}"]) == 1
        assert "make fleet-init" in complaint(capsys)


def test_a_file_is_no_folder_for_a_fleet(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("mine")
    assert main(["init", f"--fleet={tmp_path / 'file'}"]) == 1
    assert "is no folder: name one, which may be new" in complaint(capsys)


def test_a_mistyped_folder_loses_no_unfinished_file_of_another_program(
    fleet: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs = tmp_path / "photos" / ".part-film.mp4"
    theirs.parent.mkdir()
    theirs.write_text("half of it")
    for command in ("refresh", "status", "tidy"):
        assert main([command, f"--fleet={tmp_path}"]) == 1
        assert "make fleet-init" in complaint(capsys)
    beside = fleet / "photos" / ".part-film.mp4"
    ours = (fleet / ".part-ramp.json", fleet / "keys/.part-a.pem", fleet / "public/targets/.part-b")
    beside.parent.mkdir()
    for path in (beside, *ours):
        path.write_text("half of it")
    assert main(["status", f"--fleet={fleet}"]) == 0
    assert theirs.exists() and beside.exists() and not any(path.exists() for path in ours)


@pytest.mark.parametrize(
    ("command", "option", "said"),
    [
        ("promote", "--percent=abc", "'abc' is no number: give 0 to 100"),
        ("promote", "--release=abc", "'abc': give the number of a release"),
        ("promote", "--release=0", "'0': give the number of a release"),
        ("ramp", "--hours=abc", "'abc': give 0 to 8760 hours"),
        ("ramp", "--hours=-1", "'-1': give 0 to 8760 hours"),
        ("ramp", "--hours=nan", "'nan': give 0 to 8760 hours"),
    ],
)
def test_a_number_that_is_none_is_one_line_that_says_what_to_give(
    run: Run, command: str, option: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        run(command, "--name=birds", option)
    assert exit_.value.code == 2 and said in complaint(capsys)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
def test_a_disk_that_is_full_or_read_only_is_one_line_and_boards_see_the_old(
    run: Run,
    good: Good,
    board: Board,
    other_tar: Path,
    number: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def refuse(path: Path, data: bytes) -> int:
        raise OSError(number, os.strerror(number), str(path))

    with monkeypatch.context() as full:
        full.setattr(Path, "write_bytes", refuse)
        assert run("publish", "--name=birds", f"--bundle={other_tar}") == 1
    line = complaint(capsys)
    assert os.strerror(number) in line and "give the same command again" in line
    assert board.release("birds", 1)[1] == bundle.read_files(TAR)
    good("publish", "--name=birds", f"--bundle={other_tar}")
    assert board.release("birds", 2)[1] == bundle.read_files(other_tar)


def test_two_commands_do_not_change_a_fleet_at_once(
    run: Run, fleet: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with changing(Fleet(fleet)):
        assert run("refresh") == 1
    assert "another command is changing it" in complaint(capsys)


def test_damaged_metadata_is_named(
    run: Run, fleet: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (fleet / "public/metadata/1.root.json").write_text("{}")
    assert run("refresh") == 1
    assert "1.root.json: damaged" in complaint(capsys)


def test_keys_that_are_no_help_are_told_from_those_that_are_missing(
    run: Run, fleet: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init", f"--fleet={tmp_path / 'other'}"]) == 0
    (fleet / "keys").rename(tmp_path / "away")
    (tmp_path / "other/keys").rename(fleet / "keys")
    capsys.readouterr()
    assert run("promote", "--name=birds", "--percent=50") == 1
    said = complaint(capsys)
    assert f"{fleet}/keys: what is there of rollout is older, or another fleet's" in said
    for path in (fleet / "keys").iterdir():
        path.unlink()
    (fleet / "keys").rmdir()
    assert run("promote", "--name=birds", "--percent=50") == 1
    assert f"({fleet}/keys: No such file or directory): bring their files" in complaint(capsys)


def test_a_disk_that_is_full_when_a_fleet_is_made_leaves_none_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(path: Path, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    with monkeypatch.context() as full:
        full.setattr(Path, "write_bytes", refuse)
        assert main(["init", f"--fleet={tmp_path / 'new'}"]) == 1
    assert "nothing is made: correct that" in complaint(capsys)
    assert main(["init", f"--fleet={tmp_path / 'new'}"]) == 0


def test_status_names_a_release_that_no_board_is_offered(
    good: Good, other_tar: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def waiting() -> list[str]:
        capsys.readouterr()
        good("status")
        lines = capsys.readouterr().out.splitlines()
        return [line.partition(" ")[0] for line in lines if "no board is offered it" in line]

    assert waiting() == ["birds/1"]
    good("promote", "--name=birds", "--percent=1")
    assert waiting() == []
    good("publish", "--name=birds", f"--bundle={other_tar}")
    assert waiting() == ["birds/2"]
