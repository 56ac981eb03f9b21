"""Shards promise: one that is cut or foreign stops with its name, and nothing vanishes silently."""

import gzip
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from device.workstation.shards import stores
from device.workstation.shards.stores import StoreError
from tests.support.cli import only_error
from tests.support.peers import shard_readers
from tests.support.pictures import RULES, encoded, picture
from tests.train.data.shards.making import album, tar_bytes, write_parquet, write_tar
from train.__main__ import main
from train.data.dataset import scan
from train.data.photo import Photo
from train.data.shards.source import find_source
from train.errors import DataError

JPEG = encoded(picture(0, 0), "JPEG")


def read(data: Path, tmp_path: Path) -> Sequence[Photo]:
    return scan(find_source(str(data), tmp_path, tmp_path / "out"), RULES)


def paths(photos: Sequence[Photo]) -> set[str]:
    return {photo.path for photo in photos}


def two_classes(extra: Mapping[str, bytes]) -> dict[str, bytes]:
    return {"fern/1.jpg": JPEG, "moss/1.jpg": encoded(picture(1, 1), "JPEG"), **extra}


# --- shards that cannot be read -------------------------------------------------------------------


WHOLE = tar_bytes(album())
ENDS = {
    "empty": b"",
    "cut in a photo": WHOLE[: len(WHOLE) // 2],
    "cut in a header": WHOLE[:700],
    "cut between two members": WHOLE[: -tarfile.RECORDSIZE].rstrip(b"\0") + b"\0" * 3,
    "a damaged header": WHOLE.replace(b"ustar", b"xxxxx")[:512] + WHOLE[512:],
    "another damaged header": WHOLE.replace(b"_other/0.png", b"_other/X.png"),
    "no tar": b"hello" * 1000,
    "two tars in one": WHOLE + tar_bytes({"fern/9.jpg": JPEG}),
    "compressed": gzip.compress(WHOLE),
}


@pytest.mark.parametrize("end", ENDS)
def test_a_shard_that_is_not_whole_stops_with_its_name(
    end: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_tar(tmp_path / "shards" / "good-0.tar", album())
    (tmp_path / "shards" / "odd-1.tar").write_bytes(ENDS[end])
    out = tmp_path / "out"
    assert main(["data", "--data", str(tmp_path / "shards"), "--out", str(out)]) != 0
    error = only_error(capsys.readouterr().err)
    assert "odd-1.tar" in error and ("copy" in error or "unpack" in error)
    assert not (out / "split.csv").exists()


@pytest.mark.parametrize("single", [True, False])
def test_a_compressed_shard_is_refused_with_its_name(single: bool, tmp_path: Path) -> None:
    write_tar(tmp_path / "s" / "a.tar", two_classes({}))
    packed = tmp_path / "s" / "b.tar.gz"
    packed.write_bytes(gzip.compress(WHOLE))
    with pytest.raises(DataError, match=rf"^{packed}: is compressed.* unpack it"):
        read(packed if single else packed.parent, tmp_path)


def test_shards_are_read_again_only_if_they_were_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shards = tmp_path / "shards"
    for number in range(3):
        write_tar(shards / f"{number}.tar", two_classes({f"fern/{number}9.jpg": JPEG}))
    opened: list[str] = []
    real = stores.open_file

    def noted(shard: str) -> object:
        opened.append(Path(shard).name)
        return real(shard)

    monkeypatch.setattr("train.data.shards.tar.open_file", noted)
    read(shards, tmp_path)
    assert sorted(opened) == ["0.tar", "1.tar", "2.tar"]
    opened.clear()
    assert "fern/09.jpg" in paths(read(shards, tmp_path)) and opened == []
    write_tar(shards / "1.tar", two_classes({"fern/new.jpg": JPEG}))
    (shards / "0.tar").unlink()
    found = paths(read(shards, tmp_path))
    assert opened == ["1.tar"]
    assert "fern/new.jpg" in found and "fern/09.jpg" not in found


def test_a_damaged_index_is_made_again(tmp_path: Path) -> None:
    data = write_tar(tmp_path / "a.tar", two_classes({}))
    read(data, tmp_path)
    (tmp_path / "out" / "shards.sqlite").write_bytes(b"no index")
    assert paths(read(data, tmp_path)) == {"fern/1.jpg", "moss/1.jpg"}


def test_a_shard_that_changes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    data = write_tar(tmp_path / "a.tar", two_classes({}))
    source = find_source(str(data), tmp_path, tmp_path / "out")
    assert not isinstance(source, Path)
    scan(source, RULES)
    data.write_bytes(data.read_bytes()[:600])
    with pytest.raises(StoreError, match=r"a\.tar: ends in a photo.*make data"):
        source.spot("moss/1.jpg").read()
    data.unlink()
    with pytest.raises(StoreError, match=r"a\.tar: no such"):
        source.spot("moss/1.jpg").read()


@pytest.mark.parametrize("damage", ["cut", "foreign", "no pictures", "no labels"])
def test_a_parquet_file_that_cannot_be_used_stops_with_its_name(
    damage: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shard_readers.lend(monkeypatch)
    import pyarrow
    from pyarrow import parquet

    file = write_parquet(tmp_path / "x.parquet", album())
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:-20])
    elif damage == "foreign":
        file.write_bytes(b"hello" * 1000)
    else:
        table = parquet.read_table(file).drop_columns(
            ["image" if damage == "no pictures" else "label"]
        )
        parquet.write_table(table.append_column("more", pyarrow.array([1.0] * len(table))), file)
    out = tmp_path / "out"
    assert main(["data", "--data", str(file), "--out", str(out)]) == 1
    assert "x.parquet: " in only_error(capsys.readouterr().err)


def test_without_its_reader_a_parquet_file_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(StoreError, match=r"x\.parquet: install pyarrow to read it: .*pip install"):
        read(tmp_path / "x.parquet", tmp_path)


# --- what is in them ------------------------------------------------------------------------------


def test_a_damaged_photo_is_named_and_left_out(tmp_path: Path) -> None:
    data = write_tar(tmp_path / "a.tar", two_classes({"fern/2.jpg": JPEG[:300], "fern/3.jpg": b""}))
    problems = {photo.path: photo.problem for photo in read(data, tmp_path) if photo.problem}
    assert problems.keys() == {"fern/2.jpg", "fern/3.jpg"}
    assert "damaged" in problems["fern/2.jpg"] and problems["fern/3.jpg"] == "the file is empty"


def notes(tmp_path: Path, capsys: pytest.CaptureFixture[str], data: Path) -> str:
    read(data, tmp_path)
    return capsys.readouterr().err


def test_nothing_is_passed_over_without_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shards = tmp_path / "shards"
    odd = {
        "fern/clip.mp4": b"",
        "fern/notes.md": b"x",
        "fern/._1.jpg": JPEG,
        "fern/.hidden.jpg": JPEG,
        "loose.jpg": JPEG,
        "../up.jpg": JPEG,
        "/etc/passwd.jpg": JPEG,
        "_review/fern/1.jpg": JPEG,
        "fern/raw.cr2": b"II*\0",
    }
    write_tar(shards / "a.tar", [*two_classes(odd).items(), ("fern/1.jpg", b"again")])
    write_tar(shards / "b.tar", {"fern/1.jpg": encoded(picture(0, 7), "JPEG")})
    write_tar(shards / "empty.tar", {})
    (shards / "index.idx").touch()
    with tarfile.open(shards / "a.tar", "a") as tar:
        link = tarfile.TarInfo("fern/link.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "1.jpg"
        tar.addfile(link)
    told = notes(tmp_path, capsys, shards)
    for line in (
        "films, which are read from a folder on a disk only: 1 (a.tar/fern/clip.mp4)",
        "no photos: 1 (a.tar/fern/notes.md)",
        "of the system or the drive: 1 (a.tar/fern/._1.jpg)",
        "hidden: 1 (a.tar/fern/.hidden.jpg)",
        "photos in no class folder: 1 (a.tar/loose.jpg)",
        "lead out of their shard: 2 (a.tar/../up.jpg, a.tar//etc/passwd.jpg)",
        "that wait to be sorted: 1 (a.tar/_review/fern/1.jpg)",
        "with a name that the shard has already: 1 (a.tar/fern/1.jpg)",
        "links and the like, which are no files: 1 (a.tar/fern/link.jpg)",
        "no shards: 1 (index.idx)",
        "shards without photos: 1 (empty.tar)",
        "names that photos of other shards have, too: 1, now called after their shard (fern/b/1",
    ):
        assert line in told, line


def test_a_name_that_two_shards_have_is_two_photos(tmp_path: Path) -> None:
    for number in range(2):
        photo = encoded(picture(0, number), "JPEG")
        write_tar(tmp_path / "s" / f"p-{number}.tar", two_classes({"fern/1.jpg": photo}))
    found = {photo.path: photo.sha256 for photo in read(tmp_path / "s", tmp_path)}
    assert found.keys() == {"fern/1.jpg", "moss/1.jpg", "fern/p-1/1.jpg", "moss/p-1/1.jpg"}
    assert found["fern/1.jpg"] != found["fern/p-1/1.jpg"]


def labelled(kind: str, label: bytes) -> dict[str, bytes]:
    photos = {f"{i:06d}.jpg": encoded(picture(i % 2, i), "JPEG") for i in range(4)}
    other = b'{"label": "moss"}' if kind == "json" else b"moss\n"
    return photos | {f"{i:06d}.{kind}": label if i % 2 else other for i in range(4)}


@pytest.mark.parametrize("kind", ["cls", "txt", "json"])
def test_a_label_beside_a_photo_is_its_class(kind: str, tmp_path: Path) -> None:
    said = ('{"label": "Weiden kätzchen"}' if kind == "json" else "Weiden kätzchen").encode()
    data = write_tar(tmp_path / "a.tar", labelled(kind, said))
    assert {photo.label for photo in read(data, tmp_path)} == {"moss", "Weiden kätzchen"}


def test_classes_count_more_than_captions(tmp_path: Path) -> None:
    data = labelled("txt", b"a caption") | {
        name.replace("txt", "cls"): label for name, label in labelled("txt", b"fern").items()
    }
    found = read(write_tar(tmp_path / "a.tar", data), tmp_path)
    assert {photo.label for photo in found} == {"moss", "fern"}


def test_of_labelled_shards_a_photo_without_a_label_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = labelled("cls", b"fern") | {"train/5.jpg": JPEG}
    told = notes(tmp_path, capsys, write_tar(tmp_path / "a.tar", data))
    assert "skipped, without a label: 1 (train/5.jpg)" in told


def test_shards_of_all_parts_are_read_with_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_tar(tmp_path / "s" / "train-0.tar", labelled("cls", b"fern"))
    write_tar(tmp_path / "s" / "val" / "0.tar", {"x.jpg": JPEG, "x.cls": b"moss"})
    assert "parts of a data set (train, val) are read together" in notes(
        tmp_path, capsys, tmp_path / "s"
    )


REFUSED = {
    "look alike": ({"Fern/1.jpg": JPEG, "fern/1.jpg": JPEG}, "'Fern' and 'fern' look alike"),
    "no name": ({"-x/1.jpg": JPEG, "moss/1.jpg": JPEG}, "'-x' must not begin"),
    "labels that look alike": (
        labelled("cls", b"Moss"),
        "labels 'Moss' and 'moss' look alike",
    ),
    "a label with a slash": (labelled("cls", b"a/b"), "label 'a/b' must not"),
    "a label that is no text": (labelled("cls", b"\xff\xfe"), "is not UTF-8 text"),
    "parts": (
        {f"{part}/{label}/1.jpg": JPEG for part in ("train", "val") for label in ("a", "b")},
        r"its folders are parts \(train, val\), not classes",
    ),
    "one level too deep": (
        {f"birds/{label}/1.jpg": JPEG for label in ("a", "b")},
        "its only class would be 'birds'",
    ),
    "a class of other pictures": (
        two_classes({"oak/1.psd": b"x"}),
        r"'oak' has no photos, only 1 \.psd",
    ),
    "a class of films": (two_classes({"oak/1.mp4": b"x"}), r"'oak' has no photos, only 1 \.mp4"),
    "no classes": ({"1.jpg": JPEG}, "nothing says what its photos .* show"),
    "nothing": ({}, "it holds no photos"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_classes_are_checked_as_those_of_a_folder(case: str, tmp_path: Path) -> None:
    members, said = REFUSED[case]
    with pytest.raises(DataError, match=said):
        read(write_tar(tmp_path / "a.tar", members), tmp_path)


def test_labels_that_are_not_all_named_are_refused(tmp_path: Path) -> None:
    write_tar(tmp_path / "s" / "a.tar", labelled("cls", b"2"))
    (tmp_path / "s" / "labels.txt").write_text("fern\nmoss\n")
    with pytest.raises(DataError, match=r"labels\.txt: names 2 labels, but .* has the label 2"):
        read(tmp_path / "s", tmp_path)
