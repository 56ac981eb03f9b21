"""What `DATA=` names: a folder of photos, shards on a disk, or an address."""

import os
from pathlib import Path

from device.contract.folders import SkipReason, photos_below
from device.workstation.photo_files import Source
from device.workstation.shards.index import INDEX, Shards
from device.workstation.shards.stores import StoreError, check_address, is_address, listing
from train.data.dataset import locate
from train.data.folder import MEANT
from train.data.shards.records import is_shard


def find_source(data: str | None, store: Path, out: Path) -> Source:
    """Where the photos are.

    Args:
        data: as `locate` takes it, or shards, or an address.
        store: as for `locate`.
        out: where the index of shards is kept.

    Raises:
        DataError: if `data` is no folder, no shard and no address.
        StoreError: if it is an address that may hold a secret.
    """
    if data and is_address(data):
        check_address(data)
        return Shards(data.rstrip("/"), out / INDEX)
    if data:
        path = Path(os.path.expanduser(data))
        if has_shards(path):
            return Shards(str(path.resolve()), out / INDEX)
    return locate(data, store)


def has_shards(path: Path) -> bool:
    """Whether a path is a shard, or a folder with shards and no photo: that stays a folder."""
    if not path.is_dir():
        return is_shard(path.name) and path.is_file()
    passed: set[SkipReason] = set()
    try:
        photos = photos_below(path, on_skipped=lambda _, why: passed.add(why))
        if next(photos, None) is not None or passed & {*MEANT}:
            return False
        return any(is_shard(each.name) for each in listing(str(path)))
    except (OSError, StoreError):
        # Whoever reads it as a folder says so.
        return False
