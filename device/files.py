"""Writing files so that a kill or a full disk leaves what was there before."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path, *, secret: bool = False) -> Iterator[Path]:
    """Yield a name beside `path` to write to; on success it takes the place of `path`.

    Its suffix is that of `path`, for writers that look at it. On failure it is removed. What is
    `secret` nobody else may read.
    """
    part = path.with_name(f"part-{path.name}")
    try:
        if secret:
            part.unlink(missing_ok=True)
            part.touch(mode=0o600)
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Write a whole file, or leave the old one."""
    with replacing(path) as part:
        part.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write a whole UTF-8 file, or leave the old one."""
    write_bytes(path, text.encode("utf-8"))


def is_text(path: Path, text: str) -> bool:
    """Whether a file is there and holds just this UTF-8 text."""
    try:
        return path.read_bytes() == text.encode("utf-8")
    except OSError:
        return False
