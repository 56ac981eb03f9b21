"""Photos that devices saved: they are trained on, unless they show what judges the model."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from device.workstation.training import LEFT_OUT, Part
from train.data.blocks import Block
from train.data.events.copies import copies_of
from train.data.events.occasions import EventSettings, joined_by_clock
from train.data.looks import AnyThumbnails, Floats, Numbers, blocks
from train.data.own import Own
from train.data.photo import Photo, details, thumbnails


def place_collected(
    usable: Sequence[Photo], own: Own, settings: EventSettings
) -> list[tuple[Photo, Block, str]]:
    """Where each photo that a device saved goes, and its event.

    Args:
        usable: all photos, those of `own` in the same order.
        own: the user's own photos, which are placed already.
        settings: how events are found.
    """
    fresh = [i for i, photo in enumerate(usable) if photo.collected]
    if not fresh:
        return []
    events, judged_by = _events(usable, own, settings)
    said = "a device's photo, of the same event as the held-out {}"
    leaks = {usable[i].path: said.format(judged_by[i]) for i in fresh if judged_by[i]}
    judges = own.held_out()
    leaks |= _leaks(
        [usable[i] for i in fresh],
        [own.photos[i] for i in judges],
        own.occasions.grouping.thresholds[judges],
    )
    blocks = {path: Block(LEFT_OUT, reason) for path, reason in leaks.items()}
    return [(usable[i], blocks.get(usable[i].path, Block(Part.TRAIN)), events[i]) for i in fresh]


def _events(
    usable: Sequence[Photo], own: Own, settings: EventSettings
) -> tuple[list[str], list[str]]:
    """For each photo its event, and the path of one from there that judges the model, or "".

    An event of the user's own photos keeps its name, whatever devices saved of it.
    """
    old = np.array([i for i, photo in enumerate(usable) if not photo.collected])
    known = np.arange(len(usable))
    known[old] = old[own.occasions.grouping.roots]
    joined = joined_by_clock(usable, known, settings)
    of_own = [joined[i] for i in old.tolist()]
    names = dict(zip(reversed(of_own), reversed(own.occasions.events), strict=True))
    judging = {of_own[i]: own.photos[i].path for i in reversed(own.held_out())}
    return (
        [names.get(event, event) for event in joined],
        [judging.get(event, "") for event in joined],
    )


def _leaks(
    fresh: Sequence[Photo], held_out: Sequence[Photo], thresholds: npt.NDArray[np.float64]
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
    fresh: Sequence[Photo], known: Sequence[Photo], thresholds: npt.NDArray[np.float64]
) -> dict[str, str]:
    """By path, for each photo that shows nearly the same picture as a known one, that one's path.

    Args:
        fresh: the photos that are looked at.
        known: those that they are compared with.
        thresholds: (n,), the correlation from which a picture is the same as each of these.
    """
    found = {}
    for part in blocks(len(fresh)):
        best, which = _closest(thumbnails(fresh[part])[:], thumbnails(known), thresholds)
        for photo, above, other in zip(fresh[part], best.tolist(), which.tolist(), strict=True):
            if above >= 0:
                found[photo.path] = known[other].path
    return found


def _closest(
    fresh: Floats, known: AnyThumbnails, thresholds: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], Numbers]:
    """How far each is above the threshold of the known one that it is most above, and which."""
    best = np.full(len(fresh), -np.inf)
    which = np.zeros(len(fresh), np.int64)
    for part in [slice(0, None)] if isinstance(known, np.ndarray) else blocks(len(known)):
        here = known[part]
        above = np.stack([here @ row for row in fresh]) - thresholds[part]
        highest = above.argmax(axis=1)
        values = above[np.arange(len(fresh)), highest]
        better = values > best
        best[better], which[better] = values[better], highest[better] + part.start
    return best, which
