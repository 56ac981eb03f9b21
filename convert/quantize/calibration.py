"""Chooses the representative dataset: the photos from which the ranges of activations are known."""

import hashlib
from collections.abc import Sequence

from convert.artifacts.training import LabelledPhoto, in_turn


def choose(photos: Sequence[LabelledPhoto], count: int, seed: int) -> list[LabelledPhoto]:
    """A class-stratified sample, drawn by content.

    Takes photos of all classes in turn, ordered by a hash of each photo's bytes and the seed, until
    there are `count`. So the set is as balanced as the classes allow, whatever the order of the
    files. (The first N files of a folder would be N photos of its first class.)

    Returns:
        At most `count` different photos, fewer only if there are fewer.
    """
    return in_turn(sorted(set(photos), key=lambda photo: _hash_order(photo, seed)))[:count]


def _hash_order(photo: LabelledPhoto, seed: int) -> tuple[str, str]:
    key = f"{seed}:{photo.sha256}".encode()
    return hashlib.sha256(key).hexdigest(), photo.path
