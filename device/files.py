"""Files that a kill, Ctrl-C or a full disk leaves as they were, and reading of what they keep."""

import json
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

UNFINISHED = ".part-"
"""Prefix of an unfinished file: it is hidden, and keeps the suffix of the finished file."""
SECRET = 0o600
"""Permissions of a file that nobody else may read."""
BLOCK_BYTES = 4096


@contextmanager
def replacing(path: Path, *, mode: int | None = None, durable: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside `path` to write to; on success it replaces `path`.

    It has the suffix of `path`, for writers that look at it. On failure it is removed.

    Args:
        path: the file to write.
        mode: its permissions, from the first byte; the umask decides when None.
        durable: whether the new file must survive a power cut right after this; costs a wait for
            the disk. An earlier power cut leaves the old file either way.
    """
    part = path.with_name(UNFINISHED + path.name)
    try:
        if mode is not None:
            # One that a killed process left there may have other permissions.
            part.unlink(missing_ok=True)
            part.touch(mode=0o600)
            part.chmod(mode)
        yield part
        if durable:
            sync(part)
        part.replace(path)
        if durable:
            sync(path.parent)
    finally:
        part.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes, *, mode: int | None = None, durable: bool = False) -> None:
    """Write a whole file, or leave the old one; `mode` and `durable` as for `replacing`."""
    with replacing(path, mode=mode, durable=durable) as part:
        part.write_bytes(data)


def read_headed(
    path: Path, most_bytes: int, damaged: Callable[[str], Exception]
) -> tuple[dict[str, Any], bytes]:
    """The two parts of a file: a line that is a JSON object, and the bytes after it.

    Args:
        path: of the file.
        most_bytes: a larger file is damaged.
        damaged: makes the error that is raised, from one line.

    Raises:
        FileNotFoundError: if there is no such file.
        Exception: what `damaged` makes, if it cannot be read or is of another form.
    """
    try:
        with path.open("rb") as file:
            content = file.read(most_bytes + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise damaged(f"{path}: {error.strerror}") from error
    head, _, data = content.partition(b"\n")
    try:
        record = json.loads(head)
    except (ValueError, RecursionError) as error:
        raise damaged(f"{path}: damaged") from error
    if not isinstance(record, dict) or len(content) > most_bytes:
        raise damaged(f"{path}: damaged")
    return record, data


def write_text(path: Path, text: str) -> None:
    """Write a whole UTF-8 file, or leave the old one."""
    write_bytes(path, text.encode("utf-8"))


def append(file: int, line: bytes) -> None:
    """Append a line to an open file, or remove the part of it that fitted on the disk.

    Raises:
        OSError: if the disk is full or the reader is gone.
    """
    written = os.write(file, line)
    while written < len(line):
        try:
            written += os.write(file, line[written:])
        except OSError:
            _take_back(file, written)
            raise


def _take_back(file: int, count: int) -> None:
    try:
        os.ftruncate(file, os.fstat(file).st_size - count)
    except OSError:
        # A pipe cannot be truncated.
        return


def size_on_disk(size_bytes: int) -> int:
    """The space that a file of this size takes on the disk, bytes."""
    return math.ceil(size_bytes / BLOCK_BYTES) * BLOCK_BYTES


def sync(path: Path) -> None:
    """Wait until a file's content, or the names in a folder, would survive a power cut."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
