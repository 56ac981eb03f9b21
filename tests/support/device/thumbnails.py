"""Thumbnails of synthetic pictures, and bundles that have them."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from device.contract import bundle as contract
from device.contract.statistics import FeatureStatistics
from device.contract.thumbnails.record import Floats, Thumbnails
from tests.support.device.bundle_files import resealed
from tests.support.pictures import LABELS, encoded, picture

SIDE_PX = 48


def webp(label: int, number: int = 0, side_px: int = SIDE_PX, **options: Any) -> bytes:
    """A synthetic picture as a thumbnail."""
    return encoded(picture(label, number, side_px, side_px), "WEBP", **options)


def along(directions: Floats, each: int = 2) -> Thumbnails:
    """So many of each class, each along a direction of its own, with a little of the next one."""
    count = each * len(LABELS)
    places = np.eye(count, directions.shape[1], dtype=np.float32)
    labels = tuple(number % len(LABELS) for number in range(count))
    pictures = tuple(webp(label, number) for number, label in enumerate(labels))
    return Thumbnails(pictures, labels, places, directions)


def with_thumbnails(files: Mapping[str, bytes], content: bytes | None = None) -> dict[str, bytes]:
    """The files of a bundle with thumbnails, under a manifest that names them."""
    known = FeatureStatistics.read(files[contract.STATISTICS], len(LABELS))
    made = along(known.directions).content() if content is None else content
    return resealed({**files, contract.THUMBNAILS: made}, thumbnails=6)
