"""Signed metadata, verified by python-tuf: who may say what, how new it is, what files hash to.

This is the one place that knows python-tuf from inside, in two respects. The time by which expiry
is judged is set here, because python-tuf takes the clock's, which most boards do not have. And
what was accepted is written so that it survives a power cut; otherwise older versions might be
accepted after one.
"""

import re
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Protocol

from tuf.api import exceptions
from tuf.api.metadata import TargetFile, Timestamp
from tuf.ngclient.config import UpdaterConfig
from tuf.ngclient.fetcher import FetcherInterface
from tuf.ngclient.updater import Updater

from device.contract.release.naming import SIGNED_FIELD
from device.errors import ExpiredError, UnreachableError, UpdateError, one_line
from device.files import write_bytes
from device.update.trust.fetch import METADATA, TARGETS, NotThereError, Wanted
from device.update.trust.floor import LATEST_S
from device.update.trust.regular import read_regular

ROOTS = "root_history"
LIMITS = UpdaterConfig(
    root_max_length=64 * 1024,
    timestamp_max_length=16 * 1024,
    snapshot_max_length=256 * 1024,
    targets_max_length=1024 * 1024,
)
_VERSIONED = re.compile(r"[0-9]+\.(?!root\.json$)")
_NOT_FOUND = 404


class Source(Protocol):
    """Where metadata comes from; nothing of it is trusted."""

    @abstractmethod
    def read(self, name: str, most_bytes: int) -> bytes:
        """A small file.

        Raises:
            NotThereError: if there is none.
            UpdateError: if it cannot be read, or is longer.
        """


class Fetched:
    """Metadata as another `Trusted` keeps it in its own folder."""

    def __init__(self, folder: Path) -> None:
        """Read nothing yet.

        Args:
            folder: the other's; whoever may write there is not trusted.
        """
        self._folder = folder

    def read(self, name: str, most_bytes: int) -> bytes:
        """A file by its name on the server."""
        plain = name.removeprefix(f"{METADATA}/")
        plain = _VERSIONED.sub("", plain, count=1)
        place = self._folder / ROOTS if plain.endswith(".root.json") else self._folder
        return read_regular(place / plain, most_bytes)


class Trusted:
    """What is verified of one folder of releases, and kept."""

    def __init__(self, folder: Path, root: bytes, source: Source, reference: datetime) -> None:
        """Start from the root metadata that came with the board.

        Args:
            folder: where accepted metadata is kept.
            root: the first root metadata.
            source: of newer metadata.
            reference: the time by which expiry is judged.

        Raises:
            UpdateError: if the root metadata is not whole.
            OSError: if the disk refuses.
        """
        folder.mkdir(parents=True, exist_ok=True)
        with _told():
            self._updater = _Updater(folder, root, source)
        self._updater.set_reference(reference)

    def refresh(self) -> None:
        """Load and verify the newest metadata of root, timestamp, snapshot and targets.

        Raises:
            ExpiredError: if it is only too old.
            UnreachableError: if the source does not answer.
            UpdateError: if anything is not as it was signed, or older than what was accepted.
            OSError: if the disk refuses.
        """
        with _told():
            self._updater.refresh()

    def target(self, path: str) -> TargetFile | None:
        """The signed record of a file; None if nobody who may has signed one.

        Raises:
            UpdateError: as for `refresh`.
        """
        with _told():
            return self._updater.get_targetinfo(path)

    def wanted(self, path: str, most_bytes: int) -> Wanted:
        """What to fetch for a file.

        Raises:
            UpdateError: if it is not signed by who may, or longer than `most_bytes`.
        """
        found = self.target(path)
        if found is None:
            raise UpdateError(f"{path}: nobody who may has signed it")
        if found.length > most_bytes:
            raise UpdateError(f"{path}: {found.length:,} bytes are more than {most_bytes:,}")
        sha256 = found.hashes.get("sha256", "")
        folder, slash, name = path.rpartition("/")
        return Wanted(f"{TARGETS}/{folder}{slash}{sha256}.{name}", found.length, sha256)

    @property
    def timestamp_version(self) -> int:
        """Of the newest timestamp; 0 before the first."""
        return self._updater.timestamp_version

    def signed_s(self) -> list[float]:
        """When the accepted metadata was signed, as far as it says, Unix time."""
        return self._updater.signed_s()


class _Updater(Updater):
    """python-tuf's client with another clock, and files that survive a power cut."""

    def __init__(self, folder: Path, root: bytes, source: Source) -> None:
        super().__init__(
            str(folder),
            f"{METADATA}/",
            fetcher=_Fetcher(source),
            config=LIMITS,
            bootstrap=root,
        )

    def set_reference(self, time: datetime) -> None:
        before = self._trusted_set.reference_time
        assert before.tzinfo is not None and time.tzinfo is not None
        self._trusted_set.reference_time = time

    @property
    def timestamp_version(self) -> int:
        known = Timestamp.type in self._trusted_set
        return self._trusted_set.timestamp.version if known else 0

    def signed_s(self) -> list[float]:
        roles = [*self._trusted_set]
        told = [role.unrecognized_fields.get(SIGNED_FIELD) for role in roles]
        return [float(each) for each in told if is_signing_time(each)]

    def _persist_file(self, filename: str, data: bytes) -> None:
        write_bytes(Path(filename), data, durable=True)


def is_signing_time(value: object) -> bool:
    """Whether it can be a Unix time at which something was signed."""
    return type(value) is int and 0 < value < LATEST_S


class _Fetcher(FetcherInterface):
    """Gives python-tuf what a source reads; in memory, because it would use /tmp."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def download_bytes(self, url: str, max_length: int) -> bytes:
        try:
            return self._source.read(url, max_length)
        except NotThereError as error:
            raise exceptions.DownloadHTTPError(str(error), _NOT_FOUND) from error
        except UpdateError as error:
            raise exceptions.DownloadError(str(error)) from error

    def _fetch(self, url: str) -> Iterator[bytes]:
        """python-tuf demands it, for a `download_bytes` without an own limit."""
        raise exceptions.DownloadError(url)


@contextmanager
def _told() -> Iterator[None]:
    """Put python-tuf's errors into words."""
    try:
        yield
    except exceptions.ExpiredMetadataError as error:
        raise ExpiredError(f"{one_line(error)} by this clock") from error
    except exceptions.DownloadError as error:
        raise UnreachableError(one_line(error)) from error
    except (UpdateError, OSError):
        raise
    except Exception as error:
        # Not only RepositoryError: whatever a liar sends must end as one line.
        raise UpdateError(f"not taken: {one_line(error)}") from error
