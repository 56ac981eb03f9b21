"""Shards promise: the same photos give the same split, wherever and however they are kept."""

import pickle
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from device.workstation.photo_files import PhotoFiles, Source
from device.workstation.shards.index import Shards
from device.workstation.training import (
    CUTS,
    DATA,
    EVENTS,
    SPLIT,
    STRANGERS,
    DataRecord,
)
from tests.support.peers import shard_readers
from tests.support.pictures import RULES
from tests.train.data.shards.making import (
    album,
    of_folder,
    of_numbers,
    of_ours,
    told,
    write_folder,
    write_parquet,
    write_tar,
)
from train.__main__ import main
from train.data.dataset import scan
from train.data.listed import load_listed
from train.data.shards.source import find_source
from train.data.split import read_csv

Made = Callable[[Path, Path], Path]
"""From the folder of photos and a new one to what `DATA=` names."""


def one_tar(folder: Path, out: Path) -> Path:
    return write_tar(out / "photos.tar", of_folder(album()))


def two_parquets(folder: Path, out: Path) -> Path:
    photos = list(album().items())
    write_parquet(out / "data" / "train-00000-of-00001.parquet", dict(photos[:9]))
    write_parquet(out / "data" / "test-00000-of-00001.parquet", dict(photos[9:]))
    return out


ON_A_DISK: dict[str, Made] = {
    "our shards": of_ours,
    "a tar of the folder": one_tar,
    "a folder with a tar of the folder": lambda folder, out: one_tar(folder, out).parent,
    "shards with numbers in JSON": lambda folder, out: of_numbers(out, album()),
    "Parquet files": two_parquets,
}
NEEDS_PACKAGES = ("Parquet files",)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("birds") / "birds", album())


@pytest.fixture(scope="module")
def split(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The split of the folder."""
    out = tmp_path_factory.mktemp("split")
    assert main(["data", "--data", str(folder), "--out", str(out)]) == 0
    return out


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], str]]:
    """Puts a folder into a bucket in memory; gives its address."""
    shard_readers.lend(monkeypatch)
    import fsspec

    system, name = fsspec.filesystem("memory"), f"/{uuid4().hex}"

    def put(folder: Path) -> str:
        for path in folder.rglob("*"):
            if path.is_file():
                where = f"{name}/{path.relative_to(folder).as_posix()}"
                system.makedirs(where.rpartition("/")[0], exist_ok=True)
                system.pipe_file(where, path.read_bytes())
        return f"memory:/{name}"

    yield put
    system.rm(name, recursive=True)


def assert_same(data: str, folder: Path, split: Path, out: Path) -> None:
    assert main(["data", "--data", data, "--out", str(out)]) == 0
    for name in (SPLIT, EVENTS, CUTS, STRANGERS):
        assert (out / name).read_bytes() == (split / name).read_bytes(), name
    files, own = DataRecord.read(out / DATA).files, PhotoFiles(folder)
    travelled = pickle.loads(pickle.dumps(files))
    for row in read_csv(out / SPLIT):
        assert travelled.read(row.path) == own.read(row.path)
        assert files.start(row.path, 9) == own.start(row.path, 9)
        seen = load_listed(files, row.path, row.sha256, RULES)
        assert (seen == load_listed(own, row.path, row.sha256, RULES)).all()


@pytest.mark.parametrize("form", ON_A_DISK)
def test_the_same_photos_give_the_same_split(
    form: str, folder: Path, split: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if form in NEEDS_PACKAGES:
        shard_readers.lend(monkeypatch)
    data = ON_A_DISK[form](folder, tmp_path / "made")
    assert_same(str(data), folder, split, tmp_path / "out")
    # The index is bound to the shards, so it serves again as it is.
    assert_same(str(data), folder, split, tmp_path / "out")


@pytest.mark.parametrize("form", ["a folder", *ON_A_DISK])
def test_a_bucket_gives_the_same_split_as_a_disk(
    form: str,
    folder: Path,
    split: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    bucket: Callable[[Path], str],
) -> None:
    if form in NEEDS_PACKAGES:
        shard_readers.lend(monkeypatch)
    made = ON_A_DISK[form](folder, tmp_path / "made") if form in ON_A_DISK else folder
    data = bucket(made if made.is_dir() else made.parent)
    assert_same(data if made.is_dir() else f"{data}/{made.name}", folder, split, tmp_path / "out")


def scanned(source: Source) -> list[tuple[object, ...]]:
    return sorted((told(photo) for photo in scan(source, RULES)), key=repr)


def test_a_spot_is_read_without_the_index(folder: Path, tmp_path: Path) -> None:
    source = find_source(str(of_ours(folder, tmp_path / "made")), tmp_path, tmp_path / "out")
    assert isinstance(source, Shards)
    assert scanned(source) == scanned(folder)
    spots = {name: source.spot(name) for name in album()}
    shutil.rmtree(tmp_path / "out")
    for name, data in album().items():
        assert pickle.loads(pickle.dumps(spots[name])).read() == data


def test_a_folder_of_photos_stays_a_folder_whatever_lies_beside_them(
    folder: Path, tmp_path: Path
) -> None:
    kept = write_folder(tmp_path / "kept", album())
    write_tar(kept / "export.tar", album())
    write_tar(kept / "red" / "all.tar", album())
    assert find_source(str(kept), tmp_path, tmp_path) == kept
    assert scanned(kept) == scanned(folder)


def test_rows_without_names_are_called_after_their_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shard_readers.lend(monkeypatch)
    file = write_parquet(tmp_path / "birds.parquet", album(), named=False)
    source = find_source(str(file), tmp_path, tmp_path)
    assert isinstance(source, Shards)
    found = {str(row[0]): row[2] for row in scanned(source)}
    by_number = {f"{name.partition('/')[0]}/birds/{i:06d}" for i, name in enumerate(album())}
    assert found.keys() == by_number
    assert sorted(map(str, found.values())) == sorted(
        str(row[2]) for row in scanned_album(tmp_path)
    )


def scanned_album(tmp_path: Path) -> list[tuple[object, ...]]:
    return scanned(write_folder(tmp_path / "as a folder", album()))
