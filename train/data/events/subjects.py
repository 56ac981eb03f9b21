"""Events at one place that no clock tells apart: photos that show the same subject.

A subject moves a little from frame to frame and keeps its look. So what a background does not
explain is compared, shifted by a few pixels. Photos of an event need not all be alike: it is enough
that each is like another one of the event.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from train.data.events.centres import MANY, neighbourhoods
from train.data.events.copies import joined
from train.data.events.places import Floats, Numbers, Places, blurred, residuals
from train.data.looks import Bytes, Details, folder_of
from train.filed import Table, table

Pairs = Callable[[Numbers, Numbers], npt.NDArray[np.bool_]]
"""Says of pairs (of indices) whether they can be of one event."""

SAME_SUBJECT = 0.86
"""Correlation of two subjects, once one lies on the other, from which they are one event."""
SAME_SUBJECT_AND_LIGHT = 0.7
"""The same if the light is the same, too. Light changes from visit to visit, less within one."""
SAME_SUBJECT_AND_NUMBER = 0.6
"""The same if their numbers follow one another: a subject that turns keeps less of its look."""
SAME_LIGHT = 0.04
"""Difference of the logarithms of brightness."""
MAX_SHIFT_PX = 3
"""Of 32 pixels of a picture."""
NOISE = 2.0
"""Standard deviations by which a pixel differs from its background by chance."""
MIN_SUBJECT_PX = 8
"""Pixels, of 1,024, that a subject has at least. Smaller ones cannot be told apart."""
MIN_SUBJECT_LEVELS = 12.0
"""Grey levels, summed over three colours, by which such a pixel differs at least."""
MOST_CANDIDATES, LEAST_CANDIDATES, PAIRS = 16, 3, 20_000
"""So many of the most similar photos of other events are compared with a photo in a round: fewer at
a place with many photos, so that about `PAIRS` are compared."""
MAX_ROUNDS = 8
BLOCK = 256


@dataclass(frozen=True)
class Subjects:
    """Which photos at places have a subject, and which of them show the same."""

    seen: npt.NDArray[np.bool_]
    """(n,), whether there is a subject that can be told from the background."""
    pairs: Numbers
    """(2, m), photos of one event."""


def same_subjects(
    details: Details,
    places: Places,
    possible: Pairs,
    known: Numbers | None = None,
    neighbours: Numbers | None = None,
) -> Subjects:
    """Find photos of one place that show the same subject.

    Args:
        details: uint8 (n, 32, 32, 3).
        places: of these photos.
        possible: says of pairs whether they can be of one event.
        known: (n,), the same number for photos of one event, which need no comparison.
        neighbours: (2, m), photos whose numbers follow one another.
    """
    known = np.arange(len(details)) if known is None else known
    neighbours = np.empty((2, 0), np.int64) if neighbours is None else neighbours
    neighbours = neighbours[:, possible(*neighbours)]
    seen = np.zeros(len(details), bool)
    found = [np.empty((2, 0), np.int64)]
    with threadpool_limits(1, "blas"):
        for number, background in enumerate(places.backgrounds):
            rows = np.flatnonzero(places.place == number)
            rows, cut, gains = _visible(details, rows, background)
            seen[rows] = True
            if len(rows) > 1:
                following = _as_indices(neighbours, rows, len(details))
                following = following[:, _likeness(cut, following) >= SAME_SUBJECT_AND_NUMBER]
                roots = joined(known[rows], following)
                pairs = _found(cut, np.log(gains), rows, roots, possible)
                found += [rows[each] for each in (following, *pairs)]
    return Subjects(seen, np.concatenate(found, axis=1))


def _as_indices(pairs: Numbers, rows: Numbers, photos: int) -> Numbers:
    """Those of `pairs` of which both photos are in `rows`, as indices into these."""
    index = np.full(photos, -1, np.int64)
    index[rows] = np.arange(len(rows))
    inside = index[pairs]
    return np.asarray(inside[:, (inside >= 0).all(axis=0)])


def _visible(details: Details, rows: Numbers, background: Floats) -> tuple[Numbers, Table, Floats]:
    """The photos with a subject, what differs there from the background, and their brightness."""
    shape = (len(rows), *background.shape)
    cut = table(shape, np.float16, folder_of(details) if len(rows) >= MANY else None)
    kept, brightness = [np.empty(0, np.int64)], [np.empty(0, np.float32)]
    count = 0
    for start in range(0, len(rows), BLOCK):
        part = rows[start : start + BLOCK]
        differs, gains = _subjects(details[part], background)
        visible = (np.abs(differs).sum(-1) >= MIN_SUBJECT_LEVELS).sum((1, 2)) >= MIN_SUBJECT_PX
        kept.append(part[visible])
        brightness.append(gains[visible])
        cut[count : count + len(kept[-1])] = differs[visible]
        count += len(kept[-1])
    found = np.concatenate(kept)
    return found, cut, np.concatenate(brightness)


def _subjects(details: Bytes, background: Floats) -> tuple[npt.NDArray[np.float16], Floats]:
    """What differs from the background by more than noise, and the brightness of each photo."""
    left, gains = residuals(details, background)
    sizes = np.abs(left)
    # Most pixels show the background, so half of them differ by less than 0.67 deviations.
    noise = NOISE * np.median(sizes.reshape(len(left), -1), axis=1) / 0.6745
    cut = np.sign(left) * np.maximum(sizes - noise[:, None, None, None], 0)
    return cut.astype(np.float16), gains


def _found(
    cut: Table, light: Floats, rows: Numbers, roots: Numbers, possible: Pairs
) -> Iterator[Numbers]:
    """Pairs, as indices into `rows`, that show the same subject."""
    descriptors = _descriptors(cut, len(rows))
    asking = np.arange(len(rows))
    for _ in range(MAX_ROUNDS):
        pairs = _nearest(descriptors, asking, roots, rows, possible)
        likeness = _likeness(cut, pairs)
        dark = np.abs(light[pairs[0]] - light[pairs[1]]) > SAME_LIGHT
        new = pairs[:, likeness >= np.where(dark, SAME_SUBJECT, SAME_SUBJECT_AND_LIGHT)]
        if not new.size:
            return
        yield new
        roots = joined(roots, new)
        # Whose event found nobody will find nobody among those that are even less alike.
        asking = asking[np.isin(roots[asking], roots[new[0]])]


def _descriptors(cut: Table, count: int) -> Floats:
    """(count, 192), of length 1: so coarse that a small shift changes little."""
    unit = np.empty((count, 192), np.float32)
    for start in range(0, count, BLOCK):
        part = slice(start, min(start + BLOCK, count))
        coarse = cut[part].reshape(-1, 8, 4, 8, 4, 3).astype(np.float32).mean((2, 4))
        flat = blurred(coarse).reshape(len(coarse), -1)
        unit[part] = flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)
    return unit


def _nearest(
    descriptors: Floats, asking: Numbers, roots: Numbers, rows: Numbers, possible: Pairs
) -> Numbers:
    """Pairs (2, m) of those who ask with the most similar ones outside their event."""
    count = max(LEAST_CANDIDATES, min(MOST_CANDIDATES, PAIRS // len(rows)))
    count = min(count, len(rows) - 1)
    found = [np.empty((2, 0), np.int64)]
    for block, near in _compared(descriptors, asking, count):
        likeness = descriptors[block] @ descriptors[near].T
        free = roots[block][:, None] != roots[near][None]
        free &= possible(rows[block][:, None], rows[near][None])
        likeness[~free] = -2
        best = np.argpartition(-likeness, count - 1, axis=1)[:, :count]
        kept = np.take_along_axis(likeness, best, axis=1) > 0
        found.append(np.stack([np.repeat(block, kept.sum(1)), near[best[kept]]]))
    pairs = np.concatenate(found, axis=1)
    return np.unique(np.sort(pairs, axis=0), axis=1)


def _compared(
    descriptors: Floats, asking: Numbers, least: int
) -> Iterator[tuple[Numbers, Numbers]]:
    """Those who ask, in blocks, and whom they are compared with: of many, those nearby."""
    if len(descriptors) >= MANY:
        for lines, near in neighbourhoods(descriptors[asking], descriptors, least):
            for start in range(0, len(lines), BLOCK):
                yield asking[lines[start : start + BLOCK]], near
        return
    everybody = np.arange(len(descriptors))
    for start in range(0, len(asking), BLOCK):
        yield asking[start : start + BLOCK], everybody


def _likeness(cut: Table, pairs: Numbers) -> Floats:
    """(m,): correlation of two subjects, the second shifted by half pixels as fits best."""
    near = np.r_[0 : 2 * MAX_SHIFT_PX + 1, -2 * MAX_SHIFT_PX : 0]
    found = [np.empty(0, np.float32)]
    for start in range(0, pairs.shape[1], BLOCK):
        first, second = (cut[end].astype(np.float32) for end in pairs[:, start : start + BLOCK])
        lengths = np.sqrt((first**2).sum((1, 2, 3)) * (second**2).sum((1, 2, 3)))
        product = np.fft.rfft2(first, axes=(1, 2)) * np.fft.rfft2(second, axes=(1, 2)).conj()
        best = _finer(product.sum(-1))[:, near][:, :, near].max((1, 2))
        found.append((best / np.maximum(lengths, 1e-6)).astype(np.float32))
    return np.concatenate(found)


def _finer(spectra: npt.NDArray[np.complex64]) -> Floats:
    """From spectra (m, 32, 17), correlations (m, 64, 64) at every shift by half pixels."""
    px = spectra.shape[1]
    wide = np.zeros((len(spectra), 2 * px, px + 1), np.complex64)
    wide[:, : px // 2, : px // 2] = spectra[:, : px // 2, : px // 2]
    wide[:, -px // 2 :, : px // 2] = spectra[:, px // 2 :, : px // 2]
    return np.asarray(4 * np.fft.irfft2(wide, axes=(1, 2)))
