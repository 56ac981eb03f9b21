"""The members of a tar shard: where each one's bytes are, so that none has to be unpacked."""

import tarfile
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from device.errors import one_line
from device.workstation.shards.stores import StoreError, explained, open_file
from train.data.shards.entries import (
    LABEL_SUFFIXES,
    MOST_LABEL_BYTES,
    START_BYTES,
    Entry,
    Holds,
    key_of,
    label_in,
    plain_name,
    what_is,
)

BLOCK = tarfile.BLOCKSIZE
CHUNK_BYTES = 2**20
COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")
"""How gzip, bzip2, xz and zstd begin."""


def entries_of_tar(shard: str) -> list[Entry]:
    """The members of a shard, in order; each photo with the label that stands beside it.

    Raises:
        StoreError: if it cannot be read, is compressed, damaged, or ends too early.
    """
    with explained(shard), open_file(shard) as file:
        try:
            with tarfile.open(fileobj=file, mode="r:") as tar:
                return _labelled([*_members(tar, file)], shard, file)
        except tarfile.TarError as error:
            raise StoreError(f"{shard}: {_problem(file, error)}") from error


def _problem(file: Any, error: tarfile.TarError) -> str:
    file.seek(0)
    if file.read(6).startswith(COMPRESSED):
        return "is compressed, so no photo can be read alone: unpack it to a plain .tar"
    return f"no whole tar ({one_line(error)}): copy or make it again, or remove it"


def _members(tar: tarfile.TarFile, file: Any) -> Iterator[tarfile.TarInfo]:
    """The members; raises TarError if the file does not end as a tar does."""
    while (member := tar.next()) is not None:
        yield member
        # They are of no more use here, and a shard may have a million of them.
        tar.members.clear()  # type: ignore[attr-defined]
    # A damaged header looks like the end, and a file may be cut between two members.
    file.seek(tar.offset)
    rest = file.read(CHUNK_BYTES)
    if len(rest) < BLOCK:
        raise tarfile.ReadError("it was cut short")
    while rest:
        if rest.strip(b"\0"):
            raise tarfile.ReadError(f"damaged behind byte {tar.offset:,}")
        rest = file.read(CHUNK_BYTES)


def _labelled(members: list[tarfile.TarInfo], shard: str, file: Any) -> list[Entry]:
    """Entries for all members but labels and folders."""
    found: list[Entry] = []
    labels: dict[str, tuple[int, str]] = {}
    taken: set[str] = set()
    targets = {each.name: each for each in members if each.isreg()}
    for member in members:
        if member.isdir():
            continue
        of = targets.get(member.linkname) if member.islnk() else member
        entry = _entry(member, of, file)
        key, suffix = key_of(entry.name)
        if entry.holds is Holds.OTHER and suffix in LABEL_SUFFIXES and of is not None:
            label = _label(of, suffix, file)
            rank = LABEL_SUFFIXES.index(suffix)
            if label is not None and rank < labels.get(key, (len(LABEL_SUFFIXES), ""))[0]:
                labels[key] = (rank, label)
            continue
        if entry.holds is not Holds.OUTSIDE and entry.name in taken:
            entry = replace(entry, holds=Holds.TWICE)
        taken.add(entry.name)
        found.append(entry)
    return [
        replace(each, label=labels[key][1]) if (key := key_of(each.name)[0]) in labels else each
        for each in found
    ]


def _entry(member: tarfile.TarInfo, of: tarfile.TarInfo | None, file: Any) -> Entry:
    """A member; `of` has its bytes, which a link has elsewhere."""
    name = plain_name(member.name)
    if name is None:
        return Entry(member.name, Holds.OUTSIDE)
    if of is None or not of.isreg() or of.issparse():
        return Entry(name, Holds.LINK)
    holds = what_is(name, lambda: _bytes(of, file, START_BYTES))
    return Entry(name, holds, of.offset_data, of.size)


def _label(member: tarfile.TarInfo, suffix: str, file: Any) -> str | None:
    if member.size > MOST_LABEL_BYTES:
        return None
    return label_in(suffix, _bytes(member, file, MOST_LABEL_BYTES))


def _bytes(member: tarfile.TarInfo, file: Any, most: int) -> bytes:
    file.seek(member.offset_data)
    return bytes(file.read(min(member.size, most)))
