"""Where the bytes of one photo are, small enough to travel to whoever can reach its store."""

from dataclasses import dataclass
from enum import StrEnum

from device.contract.photos import MAX_PHOTO_BYTES
from device.errors import PhotoError
from device.workstation.shards.rows import picture_of_row
from device.workstation.shards.stores import StoreError, read_range


class Kind(StrEnum):
    """How to find bytes in a file."""

    RANGE = "range"
    """From a byte on: in a tar, or the whole file."""
    ROW = "row"
    """By the number of a row, in a Parquet file."""
    FILE = "file"
    """The photo is a file of its own, called by its path."""


@dataclass(frozen=True)
class Spot:
    """Where the bytes of a photo are."""

    shard: str
    """Path or address of the file."""
    kind: Kind
    first: int
    """The first byte, or the row."""
    count: int
    """Bytes; 0 for a row."""

    def read(self) -> bytes:
        """The bytes of the photo.

        Raises:
            PhotoError: if they are too many, or there are none.
            StoreError: if the file cannot be read, or ends before them.
        """
        if self.kind is not Kind.ROW:
            _check_size(self.count)
            return self.start(self.count)
        data = picture_of_row(self.shard, self.first)
        _check_size(len(data))
        return data

    def start(self, size_bytes: int) -> bytes:
        """The first bytes of the photo, at most so many; raises as `read`."""
        if self.kind is Kind.ROW:
            return self.read()[:size_bytes]
        wanted = min(size_bytes, self.count)
        data = read_range(self.shard, self.first, wanted)
        if len(data) < wanted:
            raise StoreError(f"{self.shard}: ends in a photo: copy it again, run `make data` again")
        return data


def _check_size(count: int) -> None:
    if count > MAX_PHOTO_BYTES:
        raise PhotoError(f"larger than {MAX_PHOTO_BYTES // 2**20} MiB")
