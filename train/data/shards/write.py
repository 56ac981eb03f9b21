"""Makes shards of a folder: what moves a million photos as some hundred files.

A photo keeps its path as the name of its member, so shards give the split that the folder gives.
Beside it stands its class, as WebDataset's readers look for it.
"""

import hashlib
import io
import shutil
import tarfile
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from rich.console import Console
from rich.progress import track

from device.contract.photos import read_photo
from device.errors import PhotoError
from device.files import UNFINISHED
from device.workstation.shards.stores import TAR
from device.workstation.wording import number
from train.data.films.found import readable
from train.data.folder import RENDERED_MARK, read_folder
from train.data.shards.entries import key_of
from train.errors import BuildFolderError, DataError

_Sample = list[tuple[str, bytes]]
"""The members of one key."""


def write_shards(folder: Path, out: Path, most_bytes: int) -> list[str]:
    """Write the photos of a folder as tar shards; they appear when all are written.

    Args:
        folder: of class folders; raw pictures and films are not taken.
        out: a folder that is not there yet, or empty.
        most_bytes: about the size of a shard.

    Returns:
        Lines for people, on what was written and what was not taken.

    Raises:
        DataError: as `train.data.folder.read_folder`, and if a photo cannot be read.
        BuildFolderError: if there is something at `out`.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise BuildFolderError(f"{out}: is there already: remove it, or name another folder")
    contents = read_folder(folder)
    paths = {path.relative_to(folder).as_posix(): label for path, label in contents.photos}
    good = {name: label for name, label in paths.items() if readable(name) == name}
    out.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=out.parent))
    try:
        count = _write(folder, good, part, most_bytes)
        if (folder / RENDERED_MARK).exists():
            shutil.copyfile(folder / RENDERED_MARK, part / RENDERED_MARK)
        part.chmod(0o755)
        part.replace(out)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    left = len(contents.raw) + len(contents.films)
    return [
        *contents.notes,
        *([f"not taken, raw pictures and films: {left:,}"] if left else []),
        *([f"not taken, no UTF-8 names: {len(paths) - len(good):,}"] if good != paths else []),
        f"{number(len(good), 'photo')} in {number(count, 'shard')}: {out}",
    ]


def _write(folder: Path, classes: Mapping[str, str], out: Path, most_bytes: int) -> int:
    """Write the shards; returns how many there are."""
    samples = _samples(folder, classes)
    sample, count = next(samples, None), 0
    while sample is not None:
        with tarfile.open(out / f"photos-{count:06d}{TAR}", "w") as shard:
            sample = _filled(shard, sample, samples, most_bytes)
        count += 1
    return count


def _filled(
    shard: tarfile.TarFile, sample: _Sample | None, samples: Iterator[_Sample], most_bytes: int
) -> _Sample | None:
    """Put samples into a shard until it is full; returns the first that it does not hold."""
    written = 0
    while sample is not None and written < most_bytes:
        for name, data in sample:
            shard.addfile(_member(name, len(data)), io.BytesIO(data))
            written += len(data)
        sample = next(samples, None)
    return sample


def _samples(folder: Path, classes: Mapping[str, str]) -> Iterator[_Sample]:
    """The members of each key: its photos, and what they show; classes are mixed."""
    keys: dict[str, list[str]] = defaultdict(list)
    for name in sorted(classes):
        keys[key_of(name)[0]].append(name)
    mixed = sorted(keys, key=lambda key: hashlib.sha256(key.encode()).digest())
    for key in track(mixed, f"{'writing shards':24}", console=Console(stderr=True)):
        label = classes[keys[key][0]]
        yield [*_photos(folder, keys[key]), (f"{key}.cls", label.encode())]


def _photos(folder: Path, names: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    for name in names:
        try:
            yield name, read_photo(folder / name)
        except PhotoError as error:
            raise DataError(f"{folder / name}: {error}; make it readable, or remove it") from error


def _member(name: str, size: int) -> tarfile.TarInfo:
    """A header without owner and date: the same photos give the same bytes."""
    member = tarfile.TarInfo(name)
    member.size = size
    return member
