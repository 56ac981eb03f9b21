"""`python -m train shards` promises: whole shards, and the same bytes each time."""

import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from device.contract.photos import read_photo
from tests.support.cli import only_error
from tests.support.peers import shard_readers
from tests.train.data.shards.making import album, write_folder
from train.__main__ import main
from train.data.shards.write import write_shards

READER = """
import sys, webdataset
for sample in webdataset.WebDataset(sys.argv[1:], shardshuffle=False):
    for name, data in sample.items():
        if name != "cls" and not name.startswith("__"):
            print(sample["__key__"] + "." + name, sample["cls"].decode(), len(data), sep="\\t")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "birds", album())


def test_the_same_photos_give_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    for name in "ab":
        command = ["shards", "--data", str(folder), "--out", str(tmp_path / name), "--mb", "1"]
        assert main(command) == 0
    first, second = ([*sorted((tmp_path / name).iterdir())] for name in "ab")
    assert [path.name for path in first] == [path.name for path in second]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_shards_are_full_and_classes_are_mixed(folder: Path, tmp_path: Path) -> None:
    write_shards(folder, tmp_path / "out", 100_000)
    shards = sorted((tmp_path / "out").iterdir())
    assert len(shards) > 1
    assert all(path.stat().st_size > 100_000 for path in shards[:-1])
    with tarfile.open(shards[0]) as tar:
        assert len({name.partition("/")[0] for name in tar.getnames()}) > 1


def test_the_reader_of_webdataset_finds_photos_and_classes(folder: Path, tmp_path: Path) -> None:
    packages = shard_readers.packages()
    write_shards(folder, tmp_path / "out", 100_000)
    shards = map(str, sorted((tmp_path / "out").iterdir()))
    code = f"import sys; sys.path.append({str(packages)!r})\n{READER}"
    done = subprocess.run(
        [sys.executable, "-c", code, *shards], capture_output=True, text=True, check=True
    )
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    expected = [[name, name.partition("/")[0], str(len(data))] for name, data in album().items()]
    assert sorted(lines) == sorted(expected)


def test_nothing_is_left_of_shards_that_could_not_be_written(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    seen = []

    def read(path: Path) -> bytes:
        seen.append(path)
        if len(seen) == 5:
            raise KeyboardInterrupt
        return read_photo(path)

    monkeypatch.setattr("train.data.shards.write.read_photo", read)
    before = sorted(tmp_path.iterdir())
    assert main(["shards", "--data", str(folder), "--out", str(tmp_path / "out")]) == 130
    assert sorted(tmp_path.iterdir()) == before
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").touch()
    capsys.readouterr()
    assert main(["shards", "--data", str(folder), "--out", str(tmp_path / "out")]) == 1
    assert "is there already" in only_error(capsys.readouterr().err)
