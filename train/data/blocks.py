"""Classes that were photographed on one or two occasions: an event is cut into blocks.

A model is judged best by events that it has not seen. A class with fewer than three of them cannot
give one to each part, so one event is cut into contiguous blocks, with a gap between two blocks:
photos from just before and just after a cut are nearly the same. What is measured on such a class
holds for its occasion only.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from device.workstation.training import LEFT_OUT, Part
from train.data.assignment import SHARES

MIN_EVENTS = len(Part)
"""A class with fewer events is cut into blocks."""
GAP_SHARE = 0.05
"""Share of an event's photos that each gap takes; at least one photo."""
SMALL_SHARE = 0.05
"""An event with a smaller share of the photos of its class is too small to be judged by alone."""
_NAMES = {Part.TRAIN: "training", Part.VAL: "validation", Part.TEST: "test"}


@dataclass(frozen=True)
class Shot:
    """A photo of a class with one or two events."""

    path: str
    label: str
    sha256: str
    event: str
    picture: int
    """The same number for photos that show nearly the same picture."""
    seconds: float | None
    """When it was taken, comparable within its event; None if unknown."""


@dataclass(frozen=True)
class Block:
    """Where a photo went."""

    part: str
    """train, val, test or left_out."""
    reason: str = ""
    """Why it was left out; empty otherwise."""


@dataclass(frozen=True)
class Blocks:
    """All classes with one or two events."""

    placed: Mapping[str, Block]
    """By path, all their photos."""
    parts: Mapping[str, Part]
    """Their events: where photos of other classes at the same event go."""


def cut_classes(shots: Iterable[Shot]) -> Blocks:
    """Divide classes with one or two events, each with at least three different photos."""
    by_label: dict[str, list[Shot]] = defaultdict(list)
    for shot in shots:
        by_label[shot.label].append(shot)
    placed: dict[str, Block] = {}
    parts: dict[str, Part] = {}
    for label in sorted(by_label):
        placed |= _cut_class(by_label[label], parts)
    return Blocks(placed, parts)


def _cut_class(shots: Sequence[Shot], parts: dict[str, Part]) -> dict[str, Block]:
    """Places the photos of one class, and adds its events to `parts`."""
    events: dict[str, list[Shot]] = defaultdict(list)
    for shot in shots:
        events[shot.event].append(shot)
    learned, *others = sorted(events, key=lambda event: (-_pictures(events[event]), event))
    if not others:
        parts.setdefault(learned, Part.TRAIN)
        return _cut(events[learned], tuple(Part))
    judged = others[0]
    alone = _pictures(events[judged]) >= max(len(Part), SMALL_SHARE * _pictures(shots))
    if alone and (parts.get(judged) == Part.TRAIN or parts.get(learned) == Part.TEST):
        # Another class learns from the smaller one already, or is judged by the larger one.
        learned, judged = judged, learned
    parts.setdefault(learned, Part.TRAIN)
    parts.setdefault(judged, Part.TEST)
    if alone:
        return _cut(events[learned], (Part.TRAIN,)) | _cut(events[judged], (Part.VAL, Part.TEST))
    # Too few photos to judge by alone, but still the only ones of another occasion.
    blocks = tuple(Part) if _pictures(events[learned]) >= len(Part) else (Part.TRAIN, Part.VAL)
    return _cut(events[learned], blocks) | _cut(events[judged], (Part.TEST,))


def _pictures(shots: Sequence[Shot]) -> int:
    return len({shot.sha256 for shot in shots})


def _cut(shots: Sequence[Shot], parts: Sequence[Part]) -> dict[str, Block]:
    """Blocks of one event in the order of `parts`; the same bytes are always in one block."""
    ordered = _in_order(shots)
    first = {shot.sha256: shot for shot in reversed(ordered)}
    different = [shot for shot in ordered if first[shot.sha256] is shot]
    blocks = _blocks(len(different), parts)
    by_bytes = {shot.sha256: block for shot, block in zip(different, blocks, strict=True)}
    by_bytes |= _repeated(different, by_bytes, parts)
    return {shot.path: by_bytes[shot.sha256] for shot in shots}


def _in_order(shots: Sequence[Shot]) -> list[Shot]:
    """By time if all photos have one, else by name."""
    timed = all(shot.seconds is not None for shot in shots)

    def moment(shot: Shot) -> tuple[float, list[tuple[int, str]], str]:
        return (shot.seconds or 0.0) if timed else 0.0, by_name(shot.path), shot.path

    return sorted(shots, key=moment)


def by_name(path: str) -> list[tuple[int, str]]:
    """A key that sorts img_2 before img_10."""
    return [
        (len(number := digits.lstrip("0")), number) if digits else (0, text)
        for text, digits in re.findall("([^0-9]+)|([0-9]+)", path)
    ]


def _blocks(count: int, parts: Sequence[Part]) -> list[Block]:
    """Where each of `count` photos goes, in order; the first part gets what rounding leaves."""
    gaps = len(parts) - 1
    gap = max(1, round(GAP_SHARE * count)) if count > 2 * gaps else 0
    room = count - gap * gaps
    whole = sum(SHARES[part] for part in parts)
    sizes = [max(1, round(SHARES[part] / whole * room)) for part in parts[1:]]
    blocks = [Block(parts[0])] * (room - sum(sizes))
    for before, part, size in zip(parts, parts[1:], sizes, strict=False):
        reason = f"between the {_NAMES[before]} and the {_NAMES[part]} photos of one event"
        blocks += [Block(LEFT_OUT, reason)] * gap + [Block(part)] * size
    return blocks


def _repeated(
    shots: Sequence[Shot], by_bytes: Mapping[str, Block], parts: Sequence[Part]
) -> dict[str, Block]:
    """Photos that show nearly the same as one of an earlier block are left out.

    Unless few others are left, as when nothing moves before a fixed camera.
    """
    found: dict[str, Block] = {}
    shown: dict[int, Part] = {}
    for part in parts:
        here = [shot for shot in shots if by_bytes[shot.sha256].part == part]
        again = [shot for shot in here if shot.picture in shown]
        if 2 * len(again) <= len(here):
            said = "nearly the same as a {} photo of its event"
            for shot in again:
                found[shot.sha256] = Block(LEFT_OUT, said.format(_NAMES[shown[shot.picture]]))
        for shot in here:
            shown.setdefault(shot.picture, part)
    return found
