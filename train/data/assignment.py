"""Which part each event goes to: about 70/15/15 of the photos, and no event in two parts."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from device.workstation.training import Part
from train.columns import encoded

Numbers = npt.NDArray[np.int64]

MOST_HELD_OUT = 0.25
"""Share of a class's events that may be in validation, and in test: an event counts once, so a
class with one huge event must not learn from that one alone."""
SHARES = dict(zip(Part, (0.70, 0.15, 0.15), strict=True))


@dataclass(frozen=True)
class PartsOfEvents:
    """The part of each event, a few bytes for each."""

    names: npt.NDArray[np.bytes_]
    """(events,), in order."""
    parts: npt.NDArray[np.int8]
    """(events,), the number of each part."""

    def of(self, events: Sequence[str], others: Mapping[str, Part] | None = None) -> list[Part]:
        """The part of each of some events; of those that are not here, from `others`."""
        keys, parts = encoded(events), tuple(Part)
        place = np.searchsorted(self.names, keys).clip(max=len(self.names) - 1)
        found = np.where(self.names[place] == keys, self.parts[place], -1).tolist()
        others = others or {}
        both = zip(events, found, strict=True)
        return [parts[number] if number >= 0 else others[event] for event, number in both]


def parts_of_events(
    labels: Sequence[str], events: Sequence[str], seed: int, fixed: Mapping[str, Part]
) -> PartsOfEvents:
    """Stratified assignment: each event goes to the part where its class lacks the most photos.

    Events are ordered by hash, so the result depends only on content and seed. Large events come
    first, while every part still has room for them, and mostly go to training.

    Args:
        labels: the class of each photo.
        events: (n,), the event of each photo: a digest.
        seed: another seed gives another, equally balanced assignment.
        fixed: the part of events that are assigned already.

    Returns:
        The part of every event. Each class has an event in training and, if it has at least three
        and shares none with another class, one in each part.
    """
    classes = _Classes.of(labels, events, seed, fixed)
    part_of = np.full(len(classes.names), -1, np.int64)
    for label in range(classes.labels):
        _fill(part_of, np.flatnonzero(classes.main == label), classes)
    _complete(part_of, classes)
    return PartsOfEvents(classes.names, part_of.astype(np.int8))


@dataclass(frozen=True)
class _Classes:
    """Which events the classes have. Events, classes and parts are numbers."""

    names: npt.NDArray[np.bytes_]
    """(events,), in order."""
    sizes: Numbers
    """(events,), photos."""
    main: Numbers
    """(events,), the class of most photos, of equal ones the first by name."""
    pairs: Numbers
    """(2, m), each event with each of its classes."""
    labels: int
    """How many classes there are."""
    hashes: npt.NDArray[np.bytes_]
    """(events,), by which they are ordered."""
    fixed: Mapping[int, int]
    """The part of events that are assigned already."""

    @classmethod
    def of(
        cls, labels: Sequence[str], events: Sequence[str], seed: int, fixed: Mapping[str, Part]
    ) -> "_Classes":
        """From the class and the event of each photo."""
        number = {label: i for i, label in enumerate(sorted(set(labels)))}
        of_class = np.fromiter((number[label] for label in labels), np.int64, len(labels))
        different, event = np.unique(encoded(events), return_inverse=True)
        keys, photos = np.unique(event * max(1, len(number)) + of_class, return_counts=True)
        pairs = np.stack(np.divmod(keys, max(1, len(number))))
        order = np.lexsort((pairs[1], -photos, pairs[0]))
        main = pairs[1, order[np.unique(pairs[0, order], return_index=True)[1]]]
        digests = (hashlib.sha256(b"%d:%b" % (seed, name)).digest() for name in different)
        hashes = np.fromiter(digests, "S32", len(different))
        kept = _numbers_of(fixed, different)
        return cls(different, np.bincount(event), main, pairs, len(number), hashes, kept)

    def in_order(self, events: Numbers) -> Numbers:
        """Those with few photos come first."""
        return events[np.lexsort((self.hashes[events], self.sizes[events]))]

    def spare(self, part_of: Numbers, own: Numbers, part: Part) -> Numbers:
        """Events of a class that may move to a part that it lacks.

        Args:
            part_of: (events,).
            own: the events of the class.
            part: that it lacks.
        """
        events, labels = self.pairs
        counts = np.zeros((self.labels, len(Part)), np.int64)
        np.add.at(counts, (labels, part_of[events]), 1)
        # Whether each of an event's classes has another event in its part.
        needed = events[counts[labels, part_of[events]] < 2]
        free = own[~np.isin(own, list(self.fixed))]
        unneeded = free[~np.isin(free, needed)]
        if part != Part.TRAIN or len(unneeded):
            return unneeded
        # What is not learned cannot be judged either.
        return free if len(free) else own


def _numbers_of(fixed: Mapping[str, Part], names: npt.NDArray[np.bytes_]) -> dict[int, int]:
    """By the number of an event, that of its part; events without photos are not among them."""
    here = np.flatnonzero(np.isin(names, encoded(list(fixed)))).tolist()
    return {i: list(Part).index(fixed[names[i].decode()]) for i in here}


def _fill(part_of: Numbers, events: Numbers, classes: _Classes) -> None:
    """Assign the events of one class."""
    sizes, parts = classes.sizes[events], tuple(Part)
    remaining = target_counts(int(sizes.sum()))
    most = max(1, round(MOST_HELD_OUT * len(sizes)))
    room = {Part.TRAIN: len(sizes), Part.VAL: most, Part.TEST: most}
    free = ~np.isin(events, list(classes.fixed))
    for i in np.lexsort((classes.hashes[events], -sizes, free)).tolist():
        event, size = int(events[i]), int(sizes[i])
        if event in classes.fixed:
            part = parts[classes.fixed[event]]
        else:
            part = _lacking(remaining, room, size)
        room[part] -= 1
        part_of[event] = parts.index(part)
        remaining[part] -= size


def _lacking(remaining: Mapping[Part, float], room: Mapping[Part, int], size: int) -> Part:
    """The part that lacks the most photos, and has room for an event of so many."""
    return max(
        (part for part in Part if room[part] > 0),
        key=lambda p: (_room_for(remaining[p], size), _shortfall(remaining[p], p)),
    )


def target_counts(count: int) -> dict[Part, float]:
    """How many of the `count` photos of a class belong in each part."""
    held_out = {part: max(1, round(count * share)) for part, share in SHARES.items()}
    return {**held_out, Part.TRAIN: count - held_out[Part.VAL] - held_out[Part.TEST]}


def _room_for(remaining: float, size: int) -> float:
    """1 if an event fills at most half of a part, else less: a burst must not be a whole part."""
    return 1.0 if size == 1 else min(1.0, remaining / (2 * size))


def _shortfall(remaining: float, part: Part) -> tuple[float, bool]:
    return remaining / SHARES[part], part == Part.TRAIN


def _complete(part_of: Numbers, classes: _Classes) -> None:
    """Give each class an event in each part; the smallest that can be spared moves."""
    events, labels = classes.pairs
    for number, part in enumerate(Part):
        for label in range(classes.labels):
            own = events[labels == label]
            if (part_of[own] != number).all():
                spare = classes.spare(part_of, own, part)
                if len(spare):
                    part_of[classes.in_order(spare)[0]] = number
