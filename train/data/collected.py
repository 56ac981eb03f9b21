"""Photos that devices saved: they are trained on, unless they show what judges the model."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from device.workstation.training import LEFT_OUT, Part
from train.columns import chosen, values_of, where
from train.data.blocks import Block
from train.data.events.cells import Cells
from train.data.events.centres import MANY
from train.data.events.copies import copies_of
from train.data.events.occasions import EventSettings, joined_by_clock
from train.data.looks import AnyThumbnails, Floats, Numbers, blocks
from train.data.own import Own
from train.data.photo import Photo, details, thumbnails

Thresholds = npt.NDArray[np.float64]


def place_collected(
    usable: Sequence[Photo], own: Own, settings: EventSettings
) -> list[tuple[Photo, Block, str]]:
    """Where each photo that a device saved goes, and its event.

    Args:
        usable: all photos, those of `own` in the same order.
        own: the user's own photos, which are placed already.
        settings: how events are found.
    """
    fresh = where(values_of(usable, "collected"))
    if not len(fresh):
        return []
    saved = list(zip(fresh.tolist(), chosen(usable, fresh), strict=True))
    events, judged_by = _events(usable, own, settings)
    said = "a device's photo, of the same event as the held-out {}"
    leaks = {photo.path: said.format(judged_by[i]) for i, photo in saved if judged_by[i]}
    judges = own.held_out()
    leaks |= _leaks(
        [photo for _, photo in saved],
        chosen(own.photos, np.array(judges, np.int64)),
        own.occasions.grouping.thresholds[judges],
    )
    blocks = {path: Block(LEFT_OUT, reason) for path, reason in leaks.items()}
    return [(photo, blocks.get(photo.path, Block(Part.TRAIN)), events[i]) for i, photo in saved]


def _events(
    usable: Sequence[Photo], own: Own, settings: EventSettings
) -> tuple[list[str], list[str]]:
    """For each photo its event, and the path of one from there that judges the model, or "".

    An event of the user's own photos keeps its name, whatever devices saved of it.
    """
    old = where(not each for each in values_of(usable, "collected"))
    known = np.arange(len(usable))
    known[old] = old[own.occasions.grouping.roots]
    joined = joined_by_clock(usable, known, settings)
    of_own = list(chosen(joined, old))
    names = dict(zip(reversed(of_own), reversed(own.occasions.events), strict=True))
    held_out = np.array(own.held_out(), np.int64)[::-1]
    paths = chosen(values_of(own.photos, "path"), held_out)
    judging = {of_own[i]: path for i, path in zip(held_out.tolist(), paths, strict=True)}
    return (
        [names.get(event, event) for event in joined],
        [judging.get(event, "") for event in joined],
    )


def _leaks(
    fresh: Sequence[Photo], held_out: Sequence[Photo], thresholds: Thresholds
) -> dict[str, str]:
    """By path, why a photo must be left out: it shows the same as a held-out one."""
    alike = nearly_the_same(fresh, held_out, thresholds)
    said = "a device's photo, {} the held-out {}"
    leaks = {path: said.format("nearly the same as", other) for path, other in alike.items()}
    new_details, old_details = details(fresh), details(held_out)
    if new_details is not None and old_details is not None:
        for copy in copies_of(new_details, old_details):
            path = held_out[copy.second].path
            leaks.setdefault(fresh[copy.first].path, said.format("an edited copy of", path))
    return leaks


def nearly_the_same(
    fresh: Sequence[Photo], known: Sequence[Photo], thresholds: Thresholds
) -> dict[str, str]:
    """By path, for each photo that shows nearly the same picture as a known one, that one's path.

    Args:
        fresh: the photos that are looked at.
        known: those that they are compared with.
        thresholds: (n,), the correlation from which a picture is the same as each of these.
    """
    if not fresh or not known:
        return {}
    looks, others = thumbnails(fresh), thumbnails(known)
    # One thread: the sums are the same on any number of cores.
    with threadpool_limits(1, "blas"):
        closest = _search if max(len(fresh), len(known)) >= MANY else _compared
        best, which = closest(looks, others, thresholds)
    return {
        photo.path: known[other].path
        for photo, above, other in zip(fresh, best.tolist(), which.tolist(), strict=True)
        if above >= 0
    }


def _compared(
    fresh: AnyThumbnails, known: AnyThumbnails, thresholds: Thresholds
) -> tuple[Thresholds, Numbers]:
    """For each, how far it is above the threshold of the one that it is most above, and which."""
    found = [_closest(fresh[part], known[:], thresholds) for part in blocks(len(fresh))]
    best, which = zip(*found, strict=True)
    return np.concatenate(best), np.concatenate(which)


def _search(
    fresh: AnyThumbnails, known: AnyThumbnails, thresholds: Thresholds
) -> tuple[Thresholds, Numbers]:
    """The same of many known ones; what is above no threshold is not told apart."""
    best, which = np.full(len(fresh), -np.inf), np.full(len(fresh), len(known))
    cells = Cells.of(known)
    for first, second in Cells.of(fresh, cells.space).pairs_with(cells, float(thresholds.min())):
        for part in blocks(len(first)):
            one, other = first[part], second[part]
            sums = np.einsum("ij,ij->i", fresh[one].astype(np.float64), known[other])
            above = sums - thresholds[other]
            # The highest of each, of equal ones the first of the known.
            order = np.lexsort((-other, above))
            one, other, above = one[order], other[order], above[order]
            better = (above > best[one]) | ((above == best[one]) & (other < which[one]))
            best[one[better]], which[one[better]] = above[better], other[better]
    return best, which


def _closest(fresh: Floats, known: Floats, thresholds: Thresholds) -> tuple[Thresholds, Numbers]:
    above = np.stack([known @ row for row in fresh]) - thresholds
    which = above.argmax(axis=1)
    return above[np.arange(len(fresh)), which], which
