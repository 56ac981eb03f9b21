"""The user's own photos, which both teach and judge: each event goes to one part."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from device.workstation.training import Part
from train.columns import chosen, values_of, where
from train.data.assignment import parts_of_events
from train.data.blocks import MIN_EVENTS, Block, Blocks, Shot, cut_classes
from train.data.events.copies import joined
from train.data.events.groups import NEAR_IDENTICAL_CORRELATIONS, near_identical
from train.data.events.occasions import Occasions
from train.data.photo import Photo, thumbnails
from train.errors import DataError

FEW_COPIES = 0.02
"""Share of the photos in groups with edited copies, up to which copies count as few."""
SAME_FRAME = NEAR_IDENTICAL_CORRELATIONS[-1]
"""Correlation of two frames of one event that show the same."""


@dataclass(frozen=True)
class Own:
    """The photos that no device saved, and where they went."""

    photos: Sequence[Photo]
    occasions: Occasions
    blocks: Sequence[Block]
    """(n,), the part of each photo."""

    @cached_property
    def copies(self) -> dict[str, str]:
        """By path, the photo that it is an edited copy of."""
        ends = (sorted((copy.first, copy.second)) for copy in self.occasions.grouping.copies)
        paths = values_of(self.photos, "path")
        return {paths[second]: paths[first] for first, second in ends}

    def held_out(self) -> list[int]:
        """Which photos judge the model."""
        return [i for i, block in enumerate(self.blocks) if block.part in (Part.VAL, Part.TEST)]


def split_own(photos: Sequence[Photo], occasions: Occasions, seed: int) -> Own:
    """Put each photo into a part.

    Raises:
        DataError: if a class would have nothing to learn from, or a part would be empty.
    """
    cut = cut_classes(_shots_of_few_events(photos, occasions))
    parts = iter(_parts(photos, occasions, cut, seed))
    whole = {part: Block(part) for part in Part}
    paths = values_of(photos, "path")
    blocks = [cut.placed.get(path) or whole[next(parts)] for path in paths]
    _check_parts(photos, [block.part for block in blocks])
    return Own(photos, occasions, blocks)


def _shots_of_few_events(photos: Sequence[Photo], occasions: Occasions) -> list[Shot]:
    """The photos of classes with too few events to give one to each part."""
    events_of: dict[str, set[str]] = defaultdict(set)
    labels = values_of(photos, "label")
    for label, event in zip(labels, occasions.events, strict=True):
        if len(events_of[label]) < MIN_EVENTS:
            events_of[label].add(event)
    rows = where(len(events_of[label]) < MIN_EVENTS for label in labels)
    if not len(rows):
        return []
    few = rows.tolist()
    pairs = near_identical(thumbnails(chosen(photos, rows)), SAME_FRAME)
    pictures = joined(np.arange(len(few)), pairs).tolist()
    return [
        Shot(
            path=photos[i].path,
            label=photos[i].label,
            sha256=photos[i].sha256,
            event=occasions.events[i],
            picture=picture,
            seconds=occasions.seconds[i],
        )
        for i, picture in zip(few, pictures, strict=True)
    ]


def _parts(photos: Sequence[Photo], occasions: Occasions, cut: Blocks, seed: int) -> list[Part]:
    """The part of each photo of the classes that are not cut.

    If there are few edited copies, the split is made without regard to them (`plain`), and they
    join the part of the photo that their event is named after. So they do not move any other photo.
    """
    events, plain, found = occasions.events, occasions.plain, occasions.grouping
    whole = where(path not in cut.placed for path in values_of(photos, "path"))
    labels, names = chosen(values_of(photos, "label"), whole), chosen(events, whole)
    of_copies = {found.roots[copy.first] for copy in found.copies}
    if np.isin(found.roots, list(of_copies)).mean() <= FEW_COPIES:
        plain = chosen(plain, whole)
        both = zip(plain, names, strict=True)
        fixed = {one: cut.parts[name] for one, name in both if name in cut.parts}
        parts = parts_of_events(labels, plain, seed, fixed).of(names, cut.parts)
        served = {*zip(labels, parts, strict=True)}
        if len(served) == len(Part) * len(set(labels)):
            return parts
    return parts_of_events(labels, names, seed, cut.parts).of(names, cut.parts)


def _check_parts(photos: Sequence[Photo], parts: Sequence[str]) -> None:
    labels = values_of(photos, "label")
    learned = {label for label, name in zip(labels, parts, strict=True) if name == Part.TRAIN}
    missing = sorted(set(labels) - learned)
    if missing or not set(Part) <= set(parts):
        raise DataError(
            "the photos cannot be split into train, val and test: too few, or all nearly the same "
            f"picture{f' (class {missing[0]!r})' if missing else ''}: add different photos"
        )
