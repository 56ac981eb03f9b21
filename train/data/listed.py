"""Reading the photos that the split lists; changed files are refused."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType

from device.contract.arrays import Box, Pixels
from device.contract.photos import decode, load_box
from device.contract.preprocess import Preprocessing, prepare
from device.errors import PhotoError
from device.workstation.photo_files import PhotoFiles
from train.errors import DataError


def read_same(files: PhotoFiles, path: str, sha256: str) -> bytes:
    """The bytes of a photo, which must be the same as when it was scanned.

    Raises:
        PhotoError: if it cannot be read, or has changed since.
    """
    data = files.read(path)
    if hashlib.sha256(data).hexdigest() != sha256:
        raise PhotoError("its content has changed since it was scanned")
    return data


def loader(
    files: PhotoFiles,
    digests: Mapping[str, str],
    rules: Preprocessing,
    cuts: Mapping[str, Box] = MappingProxyType({}),
) -> Callable[[str], Pixels]:
    """A function that loads a photo by its path, if its SHA-256 is still the same.

    It gives uint8 (height_px, width_px, 3), of the photo's box in `cuts` if there is one, or raises
    PhotoError.
    """
    return lambda path: _prepared(read_same(files, path, digests[path]), rules, cuts.get(path))


@contextmanager
def listed(files: PhotoFiles, path: str, sha256: str) -> Iterator[bytes]:
    """Work on the bytes of a photo of the split; the error names a missing or changed photo.

    Raises:
        DataError: in place of a `PhotoError`.
    """
    try:
        yield read_same(files, path, sha256)
    except PhotoError as error:
        raise DataError(
            f"{files.shown(path)}: {error}, though the split lists it; run `make data` again"
        ) from error


def load_listed(
    files: PhotoFiles, path: str, sha256: str, rules: Preprocessing, box: Box | None = None
) -> Pixels:
    """A photo of the split, or one box of it, as uint8 (height_px, width_px, 3).

    Raises:
        DataError: as `listed`.
    """
    with listed(files, path, sha256) as data:
        return _prepared(data, rules, box)


def _prepared(data: bytes, rules: Preprocessing, box: Box | None) -> Pixels:
    return prepare(decode(data, rules), rules) if box is None else load_box(data, box, rules)
