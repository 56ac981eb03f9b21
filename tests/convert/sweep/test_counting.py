"""Promises of `make sweep-arm` that need no emulator: what it counts, and what it says without."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from convert.sweep.trial import CORES, INSTRUCTIONS, SWEEP, TRIAL, Instructions, Sweep
from tests.convert.sweep.trials import entry, trial
from tests.emulated import count_sweep
from tests.emulated.support.qemu_user import BOARDS


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """One with trials that are counted, are not, have another model by now, or failed."""
    names = ("counted@1", "new@1", "changed@1", "failed@1")
    for name in names:
        record = trial(entry(name, 380, 300), "no room" if name == "failed@1" else "")
        (tmp_path / name).mkdir()
        record.write(tmp_path / name / TRIAL)
        known = Instructions("cd" * 32, "a runtime", dict.fromkeys(CORES, 1_000_000))
        if name == "changed@1":
            known = replace(known, model_sha256="00" * 32)
        if name != "new@1":
            known.write(tmp_path / name / INSTRUCTIONS)
    Sweep(names, "photos", "today").write(tmp_path / SWEEP)
    return tmp_path


def test_what_is_counted_already_is_not_counted_again(sweep: Path) -> None:
    found = [folder.name for folder, _ in count_sweep.waiting(sweep, list(BOARDS))]
    assert found == ["new@1", "changed@1"]


def test_every_core_of_the_page_is_one_of_an_emulated_board() -> None:
    assert {board.cpu for board in BOARDS.values()} == set(CORES)


def test_an_unknown_core_or_a_missing_program_is_one_clear_line(
    sweep: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert count_sweep.main(["--sweep", str(sweep), "--cores", "pi4 pi9"]) == 2
    assert capsys.readouterr().err == "error: CORES=pi9: choose of pi3, pi4, pi5\n"
    monkeypatch.setenv("PATH", "")
    assert count_sweep.main(["--sweep", str(sweep)]) == 2
    assert capsys.readouterr().err == "error: no apt-get: instructions cannot be counted here\n"


def test_without_a_sweep_there_is_nothing_to_count(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if all(map(shutil.which, count_sweep.NEEDED)):
        assert count_sweep.main(["--sweep", str(tmp_path)]) == 1
        assert "run `make sweep` first" in capsys.readouterr().err
