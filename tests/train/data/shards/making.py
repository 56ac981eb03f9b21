"""The same photos as a folder, as shards of several makers, and in a bucket in memory."""

import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.support.pictures import LABELS, encoded, picture
from train.data.looks import Small
from train.data.photo import Photo
from train.data.shards.write import write_shards

EACH = 5
"""Photos of a class."""


def album(each: int = EACH) -> dict[str, bytes]:
    """By path, photos of three classes and of none, some in sub-folders."""
    found = {}
    for number, label in enumerate(LABELS):
        for index in range(each):
            folder = f"{label}/garden" if index % 2 else label
            found[f"{folder}/IMG {index}.é.png"] = encoded(picture(number, index))
    return found | {f"_other/{i}.png": encoded(picture(2 - i, 90 + i)) for i in range(2)}


def write_folder(folder: Path, photos: Mapping[str, bytes]) -> Path:
    for name, data in photos.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def tar_bytes(members: Mapping[str, bytes] | Sequence[tuple[str, bytes]]) -> bytes:
    """A tar of members, which may have any name."""
    pairs = members.items() if isinstance(members, Mapping) else members
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in pairs:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def write_tar(path: Path, members: Mapping[str, bytes] | Sequence[tuple[str, bytes]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(tar_bytes(members))
    return path


def of_folder(photos: Mapping[str, bytes]) -> dict[str, bytes]:
    """The members of `tar -cf x.tar .` in a data folder."""
    return {f"./{name}": data for name, data in photos.items()}


def of_ours(folder: Path, out: Path) -> Path:
    """Our own shards, of about three photos each."""
    write_shards(folder, out, 60_000)
    return out


def of_numbers(out: Path, photos: Mapping[str, bytes]) -> Path:
    """Shards whose labels are numbers, with their names beside them."""
    tops = sorted({name.partition("/")[0] for name in photos})
    for number, (name, data) in enumerate(photos.items()):
        top = name.partition("/")[0]
        about = json.dumps({"label": tops.index(top), "author": "x"}).encode()
        key = name.partition(".")[0]
        members = [(name, data), (f"{key}.json", about)]
        write_tar(out / f"{number % 3}.tar", members) if number < 3 else _append(
            out / f"{number % 3}.tar", members
        )
    (out / "labels.txt").write_text("\n".join(tops) + "\n")
    return out


def _append(path: Path, members: Sequence[tuple[str, bytes]]) -> None:
    with tarfile.open(path, "a") as tar:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))


def write_parquet(
    path: Path, photos: Mapping[str, bytes], *, named: bool = True, group: int = 4
) -> Path:
    """A file as Hugging Face writes it; without names of photos if not `named`."""
    import pyarrow
    from pyarrow import parquet

    tops = sorted({name.partition("/")[0] for name in photos})
    features: dict[str, Any] = {
        "image": {"_type": "Image"},
        "label": {"_type": "ClassLabel", "names": tops},
    }
    about = {"huggingface": json.dumps({"info": {"features": features}})}
    picture_type = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
    schema = pyarrow.schema([("image", picture_type), ("label", pyarrow.int64())], metadata=about)
    rows = {
        "image": [{"bytes": d, "path": n if named else None} for n, d in photos.items()],
        "label": [tops.index(name.partition("/")[0]) for name in photos],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pyarrow.table(rows, schema=schema), path, row_group_size=group)
    return path


def told(photo: Photo) -> tuple[object, ...]:
    """All that a scan says of a photo, to compare."""
    look = photo.look
    seen = (look.pixels.tobytes(), look.detail.tobytes()) if isinstance(look, Small) else ()
    return photo.path, photo.label, photo.sha256, photo.problem, *seen, photo.moment
