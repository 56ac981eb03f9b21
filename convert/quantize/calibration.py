"""The representative dataset: which photos show the converter what activations look like."""

import hashlib
from collections.abc import Sequence

from convert.artifacts.training import LabelledPhoto, in_turn


def choose(photos: Sequence[LabelledPhoto], count: int, seed: int) -> list[LabelledPhoto]:
    """A class-stratified sample, drawn by content.

    Takes photos of each class in turn, in an order drawn by hash from each photo's bytes and
    the seed, until there are `count`: the set is as even as the classes allow, whatever the
    file order. (The first N files of a folder would be N photos of its first class.)

    Returns:
        At most `count` different photos, fewer only if there are fewer.
    """
    return in_turn(sorted(set(photos), key=lambda photo: _hash_order(photo, seed)))[:count]


def _hash_order(photo: LabelledPhoto, seed: int) -> tuple[str, str]:
    key = f"{seed}:{photo.sha256}".encode()
    return hashlib.sha256(key).hexdigest(), photo.path
