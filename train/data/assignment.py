"""Which part each event goes to: about 70/15/15 of the photos, and no event in two parts."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from device.workstation.training import Part

MOST_HELD_OUT = 0.25
"""Share of a class's events that may be in validation, and in test: an event counts once, so a
class with one huge event must not learn from that one alone."""
SHARES = dict(zip(Part, (0.70, 0.15, 0.15), strict=True))


def parts_of_events(
    labels: Sequence[str], events: Sequence[str], seed: int, fixed: Mapping[str, Part]
) -> dict[str, Part]:
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
    # Most events have one photo, and those of a class share what is said of them.
    alone = {label: (label,) for label in labels}
    members: dict[str, Sequence[str]] = {}
    for label, event in zip(labels, events, strict=True):
        so_far = members.get(event)
        if so_far is None:
            members[event] = alone[label]
        elif isinstance(so_far, list):
            so_far.append(label)
        else:
            members[event] = [*so_far, label]
    part_of: dict[str, Part] = {}
    for own in _by_class(members).values():
        _fill(part_of, {event: len(members[event]) for event in own}, seed, fixed)
    _complete(part_of, _Classes.of(members, seed, fixed))
    return part_of


def _by_class(members: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """The events of each class, in order; an event of several classes counts for the largest."""
    by_label: dict[str, list[str]] = defaultdict(list)
    for event, labels in members.items():
        counts = Counter(labels) if len(labels) > 1 else {labels[0]: 1}
        by_label[max(sorted(counts), key=counts.__getitem__)].append(event)
    return {label: by_label[label] for label in sorted(by_label)}


def _fill(
    part_of: dict[str, Part], sizes: Mapping[str, int], seed: int, fixed: Mapping[str, Part]
) -> None:
    """Assign the events of one class; `sizes` has the photos of each."""
    remaining = target_counts(sum(sizes.values()))
    most = max(1, round(MOST_HELD_OUT * len(sizes)))
    room = {Part.TRAIN: len(sizes), Part.VAL: most, Part.TEST: most}
    order = sorted(
        sizes, key=lambda event: (event not in fixed, -sizes[event], _hash_order(event, seed))
    )
    for event in order:
        size = sizes[event]
        part = fixed.get(event) or max(
            (part for part in Part if room[part] > 0),
            key=lambda p: (_room_for(remaining[p], size), _shortfall(remaining[p], p)),
        )
        room[part] -= 1
        part_of[event] = part
        remaining[part] -= size


def target_counts(count: int) -> dict[Part, float]:
    """How many of the `count` photos of a class belong in each part."""
    held_out = {part: max(1, round(count * share)) for part, share in SHARES.items()}
    return {**held_out, Part.TRAIN: count - held_out[Part.VAL] - held_out[Part.TEST]}


def _room_for(remaining: float, size: int) -> float:
    """1 if an event fills at most half of a part, else less: a burst must not be a whole part."""
    return 1.0 if size == 1 else min(1.0, remaining / (2 * size))


def _shortfall(remaining: float, part: Part) -> tuple[float, bool]:
    return remaining / SHARES[part], part == Part.TRAIN


def _hash_order(event: str, seed: int) -> str:
    return hashlib.sha256(f"{seed}:{event}".encode()).hexdigest()


@dataclass(frozen=True)
class _Classes:
    """Which events the classes have."""

    events: Mapping[str, Collection[str]]
    """By class."""
    labels: Mapping[str, Collection[str]]
    """By event."""
    fixed: Collection[str]
    """Events that stay where they are."""
    members: Mapping[str, Sequence[str]]
    """By event, the class of each photo."""
    seed: int

    @classmethod
    def of(
        cls, members: Mapping[str, Sequence[str]], seed: int, fixed: Collection[str]
    ) -> "_Classes":
        """From the class of each photo of each event."""
        labels = {
            event: sorted(set(classes)) if len(classes) > 1 else classes
            for event, classes in members.items()
        }
        events: dict[str, list[str]] = defaultdict(list)
        for event, classes in labels.items():
            for label in classes:
                events[label].append(event)
        return cls(events, labels, fixed, members, seed)

    def order(self, event: str) -> tuple[int, str]:
        """Events with few photos come first."""
        return len(self.members[event]), _hash_order(event, self.seed)

    def spare(self, part_of: Mapping[str, Part], label: str, part: Part) -> list[str]:
        """Events of a class that may move to a part that it lacks."""
        free = [event for event in self.events[label] if event not in self.fixed]
        unneeded = [event for event in free if self._is_unneeded(event, part_of)]
        if part != Part.TRAIN:
            return unneeded
        # What is not learned cannot be judged either.
        return unneeded or free or list(self.events[label])

    def _is_unneeded(self, event: str, part_of: Mapping[str, Part]) -> bool:
        """Whether each of its classes has another event in its part."""
        return all(
            any(part_of[each] == part_of[event] for each in self.events[label] if each != event)
            for label in self.labels[event]
        )


def _complete(part_of: dict[str, Part], classes: _Classes) -> None:
    """Give each class an event in each part; the smallest that can be spared moves."""
    for part in Part:
        for label in sorted(classes.events):
            if all(part_of[event] != part for event in classes.events[label]):
                spare = classes.spare(part_of, label, part)
                if spare:
                    part_of[min(spare, key=classes.order)] = part
