"""Promises about the commit that manifests name: of the code that ran, or a word that it is not."""

import subprocess
from pathlib import Path

import pytest

from device import commit as module
from device.commit import commit

WHO = ("-c", "user.name=tester", "-c", "user.email=tester@example.org")


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *WHO, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "train" / "data").mkdir(parents=True)
    for name in ("train/data/augment.py", "README.md"):
        (tmp_path / name).write_text("before")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    monkeypatch.setattr(module, "_ROOT", tmp_path)
    return tmp_path


def test_a_clean_tree_is_its_commit_whatever_tags_it_has(checkout: Path) -> None:
    git(checkout, "tag", "-am", "a release", "v1")
    (checkout / "my_photos").mkdir()
    (checkout / "my_photos" / "sort.py").touch()
    assert commit() == git(checkout, "rev-parse", "HEAD")


@pytest.mark.parametrize("name", ["train/data/augment.py", "train/new.py", "README.md"])
def test_other_files_or_new_modules_make_it_dirty(checkout: Path, name: str) -> None:
    (checkout / name).write_text("after")
    assert commit() == f"{git(checkout, 'rev-parse', 'HEAD')}-dirty"


def test_a_folder_that_is_no_checkout_has_no_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.setattr(module, "_ROOT", tmp_path)
    assert commit() == "unknown"
