"""Chooses the representative dataset: the photos from which the ranges of activations are known."""

import hashlib
from collections.abc import Sequence

from convert.artifacts.training import LabelledPhoto, in_turn, turns


def choose(photos: Sequence[LabelledPhoto], count: int, seed: int) -> list[LabelledPhoto]:
    """A class-stratified sample, drawn by content.

    Takes photos of all classes in turn, ordered by a hash of each photo's bytes and the seed, until
    there are `count`; of each event one photo before a second one. So the set is as balanced and as
    varied as the photos allow, whatever the order of the files. (The first N files of a folder
    would be N photos of its first class.)

    Returns:
        At most `count` different photos, fewer only if there are fewer.
    """
    drawn = sorted(set(photos), key=lambda photo: _hash_order(photo, seed))
    turn = dict(zip(drawn, turns([photo.event for photo in drawn]), strict=True))
    return in_turn(sorted(drawn, key=turn.__getitem__))[:count]


def _hash_order(photo: LabelledPhoto, seed: int) -> tuple[str, str]:
    key = f"{seed}:{photo.sha256}".encode()
    return hashlib.sha256(key).hexdigest(), photo.path
