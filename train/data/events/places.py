"""Where cameras stood: photos of a fixed camera share their background.

A background is the median of its photos, each brought to the same brightness. A photo belongs to it
if most of the picture agrees with it, in its fine structure, too; what does not agree is the
subject. Photos that somebody took by hand hardly ever agree so far, and have no place.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from train.data.looks import AnyThumbnails, Bytes, Details, digests

Floats = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.int64]

MIN_PHOTOS = 6
"""Fewer photos with one background are a burst, not a place."""
SAMPLE = 600
"""Places are searched for among so many photos at a time, so that the time grows with the photos
and not with their square. A place with a hundredth of the photos is found."""
MIN_SAMPLED = 3
LIKE_BLOCK = 0.9
"""Correlation from which one of the 16 blocks of two thumbnails is alike."""
LIKE_BLOCKS = 6
"""So many blocks must be alike before pictures are compared more closely."""
FLAT = 0.02
"""Length of a block, of a thumbnail of length 1, below which it shows nothing."""
AGREEING = 0.6
"""Share of a picture in which it must agree with its background."""
MIN_LIKENESS = 0.97
"""Correlation in this share."""
MIN_STRUCTURE = 0.7
"""The same without the smooth part of the pictures: unlike lawns, no two places share it."""
MIN_CONTRAST = 4.0
"""Standard deviation of grey levels in this share: white paper has no background to know it by."""
BLOCK = 512
_DETAIL_PX, _COARSE_PX = 32, 16


@dataclass(frozen=True)
class Places:
    """Backgrounds, and which photos have one."""

    place: Numbers
    """(n,), a row of `backgrounds`; -1: none of them."""
    backgrounds: Floats
    """(places, 32, 32, 3), in grey levels."""


def by_background(thumbnails: AnyThumbnails, details: Details) -> Places:
    """Find the places at which at least `MIN_PHOTOS` photos were taken.

    Args:
        thumbnails: float32 (n, 768), rows of length 1 or 0.
        details: uint8 (n, 32, 32, 3).
    """
    with threadpool_limits(1, "blas"):
        # In an order that depends on the pictures only: names and folders must not matter.
        left = np.argsort(digests(details), kind="stable")
        place = np.full(len(details), -1, np.int64)
        found: list[Floats] = []
        while len(left) >= MIN_PHOTOS:
            before = len(left)
            sample = left[:: -(-len(left) // SAMPLE)]
            backgrounds = list(_sampled(_blocks(thumbnails[sample]), details[sample]))
            for members in _members(thumbnails, details, left, backgrounds):
                place[members] = len(found)
                found.append(_median(details[_thinned(members)]))
            left = left[place[left] < 0]
            if len(left) == before or before <= SAMPLE:
                break
    shape = (len(found), _DETAIL_PX, _DETAIL_PX, 3)
    return Places(place, np.array(found, np.float32).reshape(shape))


def residuals(details: Bytes, background: Floats) -> tuple[Floats, Floats]:
    """What a background does not explain.

    Args:
        details: uint8 (n, 32, 32, 3).
        background: (32, 32, 3).

    Returns:
        float32 (n, 32, 32, 3), each at the brightness of the background, and float32 (n,), the
        brightness of each photo relative to it.
    """
    gains = _gains(details.astype(np.float32), background)
    left: Floats = (details / gains[:, None, None, None]).astype(np.float32) - background
    return left, gains


def _gains(pictures: Floats, background: Floats) -> Floats:
    grey, other = pictures.sum(-1) + 3, background.sum(-1) + 3
    ratio = (grey / other).reshape(len(pictures), -1)
    gains: Floats = np.maximum(np.median(ratio, axis=1), 1 / 64).astype(np.float32)
    return gains


def _sampled(blocks: Floats, details: Bytes) -> Iterator[Floats]:
    """Backgrounds of groups of photos in a sample that agree with one of them."""
    like = _alike(blocks, blocks)
    free = np.ones(len(details), bool)
    for leader in np.argsort(-like.sum(1), kind="stable").tolist():
        near = np.flatnonzero(like[leader] & free)
        if not free[leader] or len(near) < MIN_SAMPLED:
            continue
        agrees = _agrees(details[near], details[leader].astype(np.float32))
        if agrees.sum() >= MIN_SAMPLED:
            free[near[agrees]] = False
            yield _median(details[near[agrees]])


def _blocks(thumbnails: Floats) -> Floats:
    """Thumbnails (n, 768) as 16 blocks: (16, n, 48), each of length 1, or 0 if it is flat."""
    blocks = thumbnails.reshape(-1, 4, 4, 4, 4, 3).transpose(1, 3, 0, 2, 4, 5)
    flat = (blocks - blocks.mean((3, 4), keepdims=True)).reshape(16, len(thumbnails), 48)
    length = np.linalg.norm(flat, axis=2, keepdims=True)
    unit: Floats = np.where(length > FLAT, flat / np.maximum(length, FLAT), 0).astype(np.float32)
    return unit


def _alike(first: Floats, second: Floats) -> npt.NDArray[np.bool_]:
    """(n, m): whether many blocks of two thumbnails are alike."""
    count = np.zeros((first.shape[1], second.shape[1]), np.int8)
    for a, b in zip(first, second, strict=True):
        count += a @ b.T >= LIKE_BLOCK
    return np.asarray(count >= LIKE_BLOCKS)


def _median(details: Bytes) -> Floats:
    """What stays in pictures of one place: float32 (32, 32, 3)."""
    background: Floats = np.median(details, axis=0).astype(np.float32)
    for _ in range(2):
        gains = _gains(details.astype(np.float32), background)
        background = np.median(details / gains[:, None, None, None], axis=0).astype(np.float32)
    return background


def _thinned(members: Numbers) -> Numbers:
    return members[:: -(-len(members) // SAMPLE)]


def _members(
    thumbnails: AnyThumbnails, details: Details, rows: Numbers, backgrounds: Sequence[Floats]
) -> Iterator[Numbers]:
    """Those of `rows` that show each background and none before; backgrounds with few have none."""
    shows = np.zeros((len(backgrounds), len(rows)), bool)
    coarse = [_blocks(_coarse(background)) for background in backgrounds]
    for start in range(0, len(rows), BLOCK):
        part = rows[start : start + BLOCK]
        blocks, pictures = _blocks(thumbnails[part]), details[part]
        for number, background in enumerate(backgrounds):
            near = np.flatnonzero(_alike(blocks, coarse[number])[:, 0])
            if len(near):
                shows[number, start + near] = _agrees(pictures[near], background)
    free = np.ones(len(rows), bool)
    for each in shows:
        members = np.flatnonzero(each & free)
        if len(members) >= MIN_PHOTOS:
            free[members] = False
            yield rows[members]


def _coarse(background: Floats) -> Floats:
    """A background as a thumbnail, (1, 768)."""
    coarse = background.reshape(_COARSE_PX, 2, _COARSE_PX, 2, 3).mean((1, 3)).reshape(1, -1)
    unit: Floats = coarse / max(float(np.linalg.norm(coarse - coarse.mean())), 1e-3)
    return unit


def _agrees(details: Bytes, background: Floats) -> npt.NDArray[np.bool_]:
    """(n,): whether most of each picture is a background, up to its brightness."""
    pictures = details.astype(np.float32)
    gains = _gains(pictures, background)
    expected = gains[:, None, None, None] * background
    kept = _best(np.abs(pictures - expected).sum(-1))
    likeness, contrast = _correlation(pictures, expected, kept)
    passed = (likeness >= MIN_LIKENESS) & (contrast >= MIN_CONTRAST)
    rows = np.flatnonzero(passed)
    fine = _fine(pictures[rows]), _fine(expected[rows])
    structure, _ = _correlation(*fine, kept[rows])
    passed[rows] = structure >= MIN_STRUCTURE
    return passed


def _best(errors: Floats) -> npt.NDArray[np.bool_]:
    """(n, 32, 32): the share of each picture with the smallest errors."""
    flat = errors.reshape(len(errors), -1)
    most = np.partition(flat, int(AGREEING * flat.shape[1]), axis=1)
    limit = most[:, int(AGREEING * flat.shape[1])]
    return np.asarray(errors <= limit[:, None, None])


def _correlation(
    first: Floats, second: Floats, kept: npt.NDArray[np.bool_]
) -> tuple[Floats, Floats]:
    """(n,) correlation over the kept part, and (n,) standard deviation of the second there."""
    share = kept[..., None] / np.maximum(kept.sum((1, 2)), 1)[:, None, None, None]
    a = first - (first * share).sum((1, 2), keepdims=True)
    b = second - (second * share).sum((1, 2), keepdims=True)
    both, of_a, of_b = ((x * share).sum((1, 2, 3)) for x in (a * b, a * a, b * b))
    return both / np.sqrt(np.maximum(of_a * of_b, 1e-6)), np.sqrt(of_b / 3)


def _fine(pictures: Floats) -> Floats:
    """Pictures without their smooth part."""
    fine: Floats = pictures - blurred(pictures)
    return fine


def blurred(pictures: Floats) -> Floats:
    """Pictures (n, px, px, channels), each pixel averaged with its neighbours."""
    smooth: Floats = pictures
    for axis in (1, 2):
        sides: Floats = np.roll(smooth, 1, axis) + np.roll(smooth, -1, axis)
        smooth = (2 * smooth + sides) * np.float32(0.25)
    return smooth
