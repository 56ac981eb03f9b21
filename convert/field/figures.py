"""Estimates for running time, from photos of random moments: each weighs 1 / its probability.

The share of a sum of weights (Hajek 1971, after Horvitz and Thompson 1952), with events as units.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from statistics import NormalDist

import numpy as np

from convert.field.record import Confusion, Figure, Figures, Group, JudgedPhoto
from convert.field.words import difference
from device.workstation.measures import NORMAL_95
from device.workstation.shares import weighted_share

BY_CHANCE = 0.05
"""Probability that one of all groups stands out although all are alike."""
LEAST_EVENTS_OF_A_GROUP = 5


def figures_of(photos: Sequence[JudgedPhoto]) -> Figures:
    """All estimates from the photos that judge."""
    known = [photo for photo in photos if photo.known]
    others = [photo for photo in photos if not photo.known]
    named = [photo for photo in photos if not photo.unknown]
    return Figures(
        right=figure(known, _is_right),
        unknown=figure(known, _is_unknown),
        other_unknown=figure(others, _is_unknown),
        names_right=figure(named, _is_right),
        by_class=groups(known, lambda photo: photo.label),
        by_device=groups(known, lambda photo: photo.device),
        by_day=groups(known, lambda photo: photo.day),
        confusions=confusions(known),
    )


def figure(photos: Sequence[JudgedPhoto], counts: Callable[[JudgedPhoto], bool]) -> Figure | None:
    """The share of running time in which something holds; None without photos."""
    if not photos:
        return None
    hits = np.array([counts(photo) for photo in photos])
    weights = np.array([1 / photo.probability for photo in photos])
    share = weighted_share(hits, [photo.event for photo in photos], weights)
    return Figure(share.n, share.events, share.effective_n, share.value, share.interval)


def groups(photos: Sequence[JudgedPhoto], name: Callable[[JudgedPhoto], str]) -> tuple[Group, ...]:
    """The figures of classes, devices or days, by name, and which of them stand out.

    Args:
        photos: of known classes.
        name: the group of a photo.
    """
    members: dict[str, list[JudgedPhoto]] = defaultdict(list)
    for photo in photos:
        members[name(photo)].append(photo)
    return tuple(
        _group(own, members[own], [p for p in photos if name(p) != own], len(members))
        for own in sorted(members)
    )


def _group(
    name: str, own: Sequence[JudgedPhoto], others: Sequence[JudgedPhoto], groups: int
) -> Group:
    right, unknown = figure(own, _is_right), figure(own, _is_unknown)
    assert right is not None and unknown is not None
    return Group(name, right, unknown, _is_worse(right, figure(others, _is_right), groups))


def _is_right(photo: JudgedPhoto) -> bool:
    return photo.right


def _is_unknown(photo: JudgedPhoto) -> bool:
    return photo.unknown


def _is_worse(own: Figure, others: Figure | None, groups: int) -> bool:
    """Whether a group is right less often than the others, by more than chance among `groups`."""
    if others is None or min(own.events, others.events) < LEAST_EVENTS_OF_A_GROUP:
        return False
    change = own.value - others.value
    _, high = difference(own.value, own.interval, others.value, others.interval)
    wider = NormalDist().inv_cdf(1 - BY_CHANCE / groups) / NORMAL_95
    return change + (high - change) * wider < 0


def confusions(photos: Iterable[JudgedPhoto]) -> tuple[Confusion, ...]:
    """Which classes are taken for which, the most running time first.

    Args:
        photos: of known classes.
    """
    wrong: dict[tuple[str, str], list[JudgedPhoto]] = defaultdict(list)
    time: dict[str, float] = defaultdict(float)
    for photo in photos:
        time[photo.label] += 1 / photo.probability
        if not photo.right:
            wrong[photo.label, photo.predicted].append(photo)
    weighed = {pair: sum(1 / photo.probability for photo in own) for pair, own in wrong.items()}
    return tuple(
        Confusion(
            label=label,
            predicted=predicted,
            n=len(wrong[label, predicted]),
            events=len({photo.event for photo in wrong[label, predicted]}),
            share=weighed[label, predicted] / time[label],
        )
        for label, predicted in sorted(wrong, key=lambda pair: (-weighed[pair], pair))
    )
