"""The user's own photos, which both teach and judge: each event goes to one part."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from device.workstation.training import Part
from train.data.assignment import parts_of_events
from train.data.blocks import MIN_EVENTS, Block, Blocks, Shot, cut_classes
from train.data.groups import Grouping
from train.data.groups import group as group_photos
from train.data.occasions import Occasions
from train.data.photo import Photo, details, thumbnails
from train.errors import DataError

FEW_COPIES = 0.02
"""Share of the photos in groups with edited copies, up to which copies count as few."""


@dataclass(frozen=True)
class Own:
    """The photos that no device saved, and where they went."""

    photos: Sequence[Photo]
    found: Grouping
    """Which of them show one picture."""
    events: Sequence[str]
    """(n,), the event of each."""
    blocks: Sequence[Block]
    """(n,), the part of each."""

    @cached_property
    def correlations(self) -> dict[str, float]:
        """By path, the correlation from which another thumbnail counts as the same picture."""
        paths = (photo.path for photo in self.photos)
        return dict(zip(paths, self.found.thresholds.tolist(), strict=True))

    @cached_property
    def copies(self) -> dict[str, str]:
        """By path, the photo that it is an edited copy of."""
        ends = (sorted((copy.first, copy.second)) for copy in self.found.copies)
        return {self.photos[second].path: self.photos[first].path for first, second in ends}

    def held_out(self) -> list[int]:
        """Which photos judge the model."""
        return [i for i, block in enumerate(self.blocks) if block.part in (Part.VAL, Part.TEST)]


def split_own(photos: Sequence[Photo], occasions: Occasions, seed: int) -> Own:
    """Put each photo into a part.

    Raises:
        DataError: if a class would have nothing to learn from, or a part would be empty.
    """
    found = _group(photos)
    events = occasions.events(found.roots)
    cut = cut_classes(_shots_of_few_events(photos, events, found, occasions))
    plain = occasions.events(found.plain)
    parts = _parts(photos, events, plain, cut, found, seed)
    blocks = [
        cut.placed.get(photo.path) or Block(parts[event])
        for photo, event in zip(photos, events, strict=True)
    ]
    _check_parts(photos, [block.part for block in blocks])
    return Own(photos, found, events, blocks)


def _shots_of_few_events(
    photos: Sequence[Photo], events: Sequence[str], found: Grouping, occasions: Occasions
) -> list[Shot]:
    """The photos of classes with too few events to give one to each part."""
    events_of = defaultdict(set)
    for photo, event in zip(photos, events, strict=True):
        events_of[photo.label].add(event)
    return [
        Shot(photo.path, photo.label, photo.sha256, event, picture, seconds)
        for photo, event, picture, seconds in zip(
            photos, events, found.roots.tolist(), occasions.seconds, strict=True
        )
        if len(events_of[photo.label]) < MIN_EVENTS
    ]


def _parts(
    photos: Sequence[Photo],
    events: Sequence[str],
    plain: Sequence[str],
    cut: Blocks,
    found: Grouping,
    seed: int,
) -> dict[str, Part]:
    """The part of each event of the classes that are not cut.

    If there are few edited copies, the split is made without regard to them (`plain`), and they
    join the part of the photo that their event is named after. So they do not move any other photo.
    """
    whole = [i for i, photo in enumerate(photos) if photo.path not in cut.placed]
    labels = [photos[i].label for i in whole]
    of_copies = {found.roots[copy.first] for copy in found.copies}
    if np.isin(found.roots, list(of_copies)).mean() <= FEW_COPIES:
        fixed = {plain[i]: cut.parts[events[i]] for i in whole if events[i] in cut.parts}
        parts = {**cut.parts, **parts_of_events(labels, [plain[i] for i in whole], seed, fixed)}
        served = {(photos[i].label, parts[events[i]]) for i in whole}
        if len(served) == len(Part) * len(set(labels)):
            return parts
    return {**cut.parts, **parts_of_events(labels, [events[i] for i in whole], seed, cut.parts)}


def _group(photos: Sequence[Photo]) -> Grouping:
    """Which photos show one picture."""
    first_of: dict[str, int] = {}
    same_bytes = [first_of.setdefault(photo.sha256, i) for i, photo in enumerate(photos)]
    return group_photos(thumbnails(photos), details(photos), same_bytes)


def _check_parts(photos: Sequence[Photo], parts: Sequence[str]) -> None:
    learned = {photo.label for photo, name in zip(photos, parts, strict=True) if name == Part.TRAIN}
    missing = sorted({photo.label for photo in photos} - learned)
    if missing or not set(Part) <= set(parts):
        raise DataError(
            "the photos cannot be split into train, val and test: too few, or all nearly the same "
            f"picture{f' (class {missing[0]!r})' if missing else ''}: add different photos"
        )
