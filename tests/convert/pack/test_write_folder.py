"""The bundle's folder is always there, whole, whenever one looks or kills."""

import os
import threading
from pathlib import Path

import pytest

from convert.pack import bundle
from device.contract import bundle as contract
from device.errors import BundleError
from tests.support.device.bundle_files import read_folder, resealed

Files = dict[str, bytes]


@pytest.fixture
def files(tiny_bundle: Path) -> Files:
    return read_folder(tiny_bundle)


@pytest.fixture
def other(files: Files) -> Files:
    return resealed(files, name="other")


def can_exchange(folder: Path) -> bool:
    for name in ("one", "two"):
        (folder / name).mkdir()
    done = bundle.exchange(folder / "one", folder / "two")
    for name in ("one", "two"):
        (folder / name).rmdir()
    return done


def test_there_is_no_moment_without_a_folder(tmp_path: Path, files: Files, other: Files) -> None:
    if not can_exchange(tmp_path):
        pytest.skip("this file system cannot exchange two folders")
    folder = tmp_path / "bundle"
    bundle.write_folder(folder, files)
    missing, looks, done = 0, 0, threading.Event()

    def watch() -> None:
        nonlocal missing, looks
        while not done.is_set():
            looks += 1
            missing += not os.path.isdir(folder)

    watcher = threading.Thread(target=watch)
    watcher.start()
    for number in range(20):
        bundle.write_folder(folder, (other, files)[number % 2])
    done.set()
    watcher.join()
    assert looks and not missing
    assert read_folder(folder) == files
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_where_nothing_can_be_exchanged_a_cut_is_made_good_by_the_next(
    tmp_path: Path, files: Files, other: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle, "exchange", lambda one, two: False)
    folder = tmp_path / "bundle"
    bundle.write_folder(folder, files)
    folder.replace(tmp_path / ".bundle.old")
    with pytest.raises(BundleError):
        bundle.write_folder(folder, {**other, contract.MODEL: b"damaged"})
    bundle.write_folder(folder, other)
    assert read_folder(folder) == other
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_files_that_are_no_bundle_leave_the_one_that_is_there(tmp_path: Path, files: Files) -> None:
    folder = tmp_path / "bundle"
    bundle.write_folder(folder, files)
    with pytest.raises(BundleError):
        bundle.write_folder(folder, {**files, contract.MODEL: b"damaged"})
    assert read_folder(folder) == files
