"""Reproducible tars: the same files always give the same bytes."""

import io
import os
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from device.image.tools import EPOCH_S

Entry = tuple[tarfile.TarInfo, bytes]
"""A member of a tar, with its content if it is a file."""


def of_tree(top: Path) -> Iterator[Entry]:
    """Everything below a folder, sorted, owned by root, with one date; folders come first.

    Of a file's mode only the executable bit is kept; the workstation's umask does not matter.
    """
    for path in sorted(top.rglob("*")):
        name = path.relative_to(top).as_posix()
        if path.is_symlink():
            yield link(name, os.readlink(path))
        elif path.is_dir():
            yield folder(name)
        else:
            yield file(name, path.read_bytes(), executable=bool(path.stat().st_mode & 0o100))


def file(name: str, data: bytes, *, executable: bool = False) -> Entry:
    """One file's entry."""
    info = _entry(name, 0o755 if executable else 0o644)
    info.size = len(data)
    return info, data


def folder(name: str) -> Entry:
    """One folder's entry."""
    return _entry(name, 0o755, kind=tarfile.DIRTYPE), b""


def link(name: str, target: str) -> Entry:
    """One symbolic link's entry."""
    info = _entry(name, 0o777, kind=tarfile.SYMTYPE)
    info.linkname = target
    return info, b""


def of_files(files: Mapping[str, str | bytes]) -> Iterator[Entry]:
    """Entries for files by name, and for their folders."""
    folders = {str(parent) for name in files for parent in Path(name).parents} - {"."}
    for name in sorted(folders | set(files)):
        if name in folders:
            yield folder(name)
        else:
            data = files[name]
            yield file(name, data.encode() if isinstance(data, str) else data)


def members(path: Path, below: str = "") -> Iterator[Entry]:
    """The entries of a tar whose names begin with `below`."""
    with tarfile.open(path) as tar:
        for info in tar:
            info.name = info.name.removeprefix("./")
            if info.name.startswith(below):
                data = tar.extractfile(info) if info.isreg() else None
                yield info, data.read() if data else b""


def write(path: Path, entries: Iterable[Entry]) -> None:
    """Write a tar of these entries."""
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for info, data in entries:
            tar.addfile(info, io.BytesIO(data))


def overlay(base: Path, out: Path, above: Iterable[Entry], left_out: tuple[str, ...] = ()) -> None:
    """Write the base's tar with other entries over it: a file replaces, a folder joins.

    Left out are names of the base that begin with one of `left_out`, and device nodes, which the
    kernel creates.
    """
    added: dict[str, Entry] = {}
    for info, data in above:
        added.setdefault(info.name, (info, data))
    with (
        tarfile.open(base) as old,
        tarfile.open(out, "w", format=tarfile.PAX_FORMAT) as new,
    ):
        for member in old:
            name = member.name.removeprefix("./")
            if name in added and member.isdir():
                del added[name]
            if name not in added and not member.isdev() and not name.startswith(left_out):
                new.addfile(member, old.extractfile(member) if member.isreg() else None)
        for info, data in added.values():
            new.addfile(info, io.BytesIO(data))


def _entry(name: str, mode: int, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.mtime = kind, mode, EPOCH_S
    info.uname = info.gname = "root"
    return info
