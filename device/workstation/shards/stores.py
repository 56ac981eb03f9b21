"""Where shards lie: a disk, or an address such as `s3://bucket/birds` that fsspec reads.

An address never holds a secret: one with a password, a token or a query is refused, so nothing that
is stored or shown has to hide any. Who may read a bucket says the environment, as each provider's
own tools read it.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from device.errors import FieldguideError, one_line

LABELS = "labels.txt"
"""Beside shards, names for labels that are numbers: a class a line, the first is 0."""
TAR, PARQUET = ".tar", ".parquet"
_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]*)://([^/\\]*)", re.IGNORECASE)
_PACKAGES = {
    **dict.fromkeys(("s3", "s3a"), "s3fs"),
    **dict.fromkeys(("gs", "gcs"), "gcsfs"),
    **dict.fromkeys(("abfs", "abfss", "az"), "adlfs"),
    **dict.fromkeys(("http", "https"), "fsspec aiohttp"),
    "hf": "fsspec huggingface_hub",
    **dict.fromkeys(("ssh", "sftp"), "fsspec paramiko"),
    "smb": "fsspec smbprotocol",
    "hdfs": "fsspec pyarrow",
    **dict.fromkeys(("file", "ftp", "memory"), "fsspec"),
}
"""What reads an address, by its scheme; what is one package brings fsspec along."""
_NOT_SHARED = ("http", "https", "memory", "data")
"""Nobody writes there, or nobody else sees it."""
_VERSIONS = ("ETag", "etag", "md5Hash", "content_md5", "ino", "mtime")
_DATES = ("LastModified", "last_modified", "updated", "created")
"""What stores tell of a file that changes with its content."""
INSTALL = ".venv/bin/python -m pip install"


class StoreError(FieldguideError):
    """Shards or a bucket cannot be read: the user checks the address, credentials or the file."""


@dataclass(frozen=True)
class Stored:
    """A file of a store."""

    name: str
    """Below the address, with forward slashes; of a single file its own."""
    size: int
    """Bytes."""
    version: str
    """Another one if the file is written again: its size with its date, inode or etag."""


def is_address(text: str) -> bool:
    """Whether it is an address for fsspec, rather than a path."""
    return _ADDRESS.match(text) is not None


def check_address(address: str) -> None:
    """Refuse an address that nothing reads, or that may hold a secret: it repeats none of that.

    Raises:
        StoreError: naming the schemes that there are, or saying where credentials belong.
    """
    if is_address(address):
        _check(
            "DATA", address, (*_PACKAGES, *_installed()), "read there, such as {}://birds/photos"
        )


def check_shared(text: str) -> None:
    """The same of what `RAY_STORE` names: a path, or an address to which all nodes can write.

    Raises:
        StoreError: naming the schemes that there are, or saying where credentials belong.
    """
    if "://" in text:
        known = [each for each in (*_PACKAGES, *_installed()) if each not in _NOT_SHARED]
        _check("RAY_STORE", text, known, "use there, such as {}://bucket/folder")


def _check(setting: str, address: str, known: Sequence[str], example: str) -> None:
    scheme, _, rest = address.partition("://")
    place = re.split(r"[/\\]", rest, maxsplit=1)[0]
    if scheme.lower() not in known:
        schemes = ", ".join(f"{each}://" for each in _PACKAGES if each in known)
        shown = scheme if scheme.isalnum() else ""
        raise StoreError(f"{setting}={shown}://...: no such protocol; give one of {schemes}")
    if not rest.strip(":/"):
        raise StoreError(f"{setting}={address}: name what to {example.format(scheme)}")
    port = place.partition(":")[2]
    odd = "@" in place or (":" in place and ("@" in address or not port.isdigit()))
    if odd or re.search("[?#]", address):
        raise StoreError(
            f"{setting}={scheme}://...: an address must hold no user, password, token or query; "
            "give credentials as the provider's own tools take them, from the environment or a file"
        )


def _installed() -> Sequence[str]:
    """The protocols of fsspec that is installed, and of what was added to it."""
    try:
        import fsspec
    except ImportError:
        return ()
    return list(fsspec.available_protocols())


def joined(address: str, name: str) -> str:
    """The address of a file below one."""
    return f"{address.rstrip('/')}/{name}"


def last_name(address: str) -> str:
    """How people call it: the last part of an address or path."""
    return address.rstrip("/").rpartition("/")[2]


def listing(address: str) -> list[Stored]:
    """The files below an address or a path, or the one that it is; by name.

    Raises:
        StoreError: if it cannot be read, or is not there.
    """
    found = list(_remote(address) if is_address(address) else _local(Path(address)))
    return sorted(found, key=lambda each: each.name)


def _local(path: Path) -> Iterator[Stored]:
    if path.is_file():
        yield _of_status(path.name, path)
        return
    seen: set[str] = set()
    waiting = [path]
    while waiting:
        folder = waiting.pop()
        if (real := os.path.realpath(folder)) in seen:
            continue
        seen.add(real)
        with explained(str(folder)), os.scandir(folder) as inside:
            for entry in inside:
                if entry.is_dir():
                    waiting.append(Path(entry.path))
                elif entry.is_file():
                    name = Path(entry.path).relative_to(path).as_posix()
                    yield _of_status(name, Path(entry.path))


def _of_status(name: str, path: Path) -> Stored:
    status = path.stat()
    version = f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino}"
    return Stored(name, status.st_size, version)


def _remote(address: str) -> Iterator[Stored]:
    check_address(address)
    with explained(address):
        system, root = _system(address)
        info = system.info(root)
        if info["type"] == "file":
            yield _of_info(last_name(root), info)
            return
        for path, each in system.find(root, detail=True).items():
            if each["type"] == "file":
                yield _of_info(path.removeprefix(root).strip("/"), each)


def _of_info(name: str, info: Mapping[str, Any]) -> Stored:
    size = int(info.get("size") or 0)
    tells = [str(info[key]) for key in (*_VERSIONS, *_DATES) if info.get(key) is not None]
    return Stored(name, size, " ".join([str(size), *tells]))


def has_file(address: str, name: str) -> bool:
    """Whether there is a file of a name below an address or path; raises StoreError."""
    where = joined(address, name)
    if not is_address(address):
        return Path(where).is_file()
    with explained(where):
        system, path = _system(where)
        return bool(system.exists(path))


def read_range(shard: str, first: int, count: int) -> bytes:
    """Bytes of a file, from `first` on: `count` of them, or fewer at its end.

    Raises:
        StoreError: if it cannot be read.
    """
    with explained(shard):
        if is_address(shard):
            system, path = _system(shard)
            return bytes(system.cat_file(path, start=first, end=first + count)) if count else b""
        with open(shard, "rb") as file:
            file.seek(first)
            return file.read(count)


def open_file(shard: str) -> Any:
    """A file of a store, to seek and read in; raises StoreError."""
    with explained(shard):
        if not is_address(shard):
            return open(shard, "rb")
        system, path = _system(shard)
        return system.open(path, "rb")


def _system(address: str) -> tuple[Any, str]:
    """What reads an address, and how that calls it."""
    import fsspec

    system, path = fsspec.core.url_to_fs(address)
    return system, str(path)


@contextmanager
def explained(address: str) -> Iterator[None]:
    """Turn what libraries raise over a file or address into a StoreError that says what to do."""
    scheme = address.partition("://")[0].lower() if is_address(address) else ""
    try:
        yield
    except FieldguideError:
        raise
    except ImportError as error:
        missing = (error.name or "").partition(".")[0]
        known = missing if missing in ("fsspec", "pyarrow") else ""
        package = known if known == "pyarrow" else _PACKAGES.get(scheme, known)
        what = f"install {package} to read it: {INSTALL} {package}" if package else one_line(error)
        raise StoreError(f"{address}: {what}") from error
    except FileNotFoundError as error:
        raise StoreError(f"{address}: no such bucket, folder or file") from error
    except Exception as error:
        # Stores raise what they like: botocore's and aiohttp's errors have no common root.
        raise StoreError(f"{address}: {_said(error)}{_advice(scheme, error)}") from error


def _said(error: Exception) -> str:
    return getattr(error, "strerror", None) or one_line(error)


def _advice(scheme: str, error: Exception) -> str:
    text = f"{type(error).__name__} {error}".lower()
    denied = isinstance(error, PermissionError) or "credential" in text or "denied" in text
    if not (scheme and denied):
        return ""
    kinds = {"s3": "AWS_ACCESS_KEY_ID or ~/.aws", "gs": "GOOGLE_APPLICATION_CREDENTIALS"}
    named = f" ({kinds[scheme]})" if scheme in kinds else ""
    return f": give credentials as the provider's own tools take them{named}"
